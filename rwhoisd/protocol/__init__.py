"""The RWhois conversation without IO: bytes in, requests out; replies in, bytes out."""
