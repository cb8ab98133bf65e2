"""A conformance suite for RWhois V1.5 (RFC 2167) servers: recorded and written conversations.

It needs nothing of ``rwhoisd``: a host and a port, or a command that starts a server.
"""
