"""Addresses as numbers, where no name in a hierarchy is needed: one is for nearly every query."""

import socket


def plain_address(text: str) -> int | None:
    """The number of an IPv4 address as it is mostly written; None for all else."""
    try:
        return int.from_bytes(socket.inet_pton(socket.AF_INET, text))
    except (OSError, ValueError):
        return None
