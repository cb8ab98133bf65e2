"""A directory server for network operators: RWhois v1.5 (RFC 2167)."""

from rwhoisd.compiled import use

# Whether the way of a query is machine code here.
COMPILED = use()
