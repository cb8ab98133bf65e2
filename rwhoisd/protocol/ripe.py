"""Flags of RIPE's database that whois clients pass on: ``-B 192.0.2.1`` is a query.

Debian's ``whois`` sends the flags its user typed to every server, and after a 400 it waits for
a minute for the connection to close (users.md §2.2). No directive has a name of one letter, so
a first line that begins with such flags, known from that database, is the query behind them.
A line of flags alone, or of any other letter, is a directive like all others: 400.
"""

import re
from typing import Final

# q, t and v ask about the database itself: what follows them is all there is to look for.
_LONE: Final = b"abBcCdFGhHKlLmMNoqrRStvx"
_WITH_VALUE: Final = b"giksTV"
# One letter each and apart, as whois programs write them: "-soa" is no "-s" with "oa".
_FLAGS: Final = re.compile(
    rb"(?:-(?:[%b]|[%b][ \t]+[^ \t-][^ \t]*)[ \t]+)+(?=[0-9A-Za-z])" % (_LONE, _WITH_VALUE)
)


def without_flags(line: bytes) -> bytes | None:
    """The query behind the flags that ``line`` begins with; None when it is no such line."""
    match = _FLAGS.match(line)
    return line[match.end() :] if match else None
