"""Words of operators' files: addresses, host names, ports by name, placeholders.

Nothing here asks a resolver or the machine's own tables: a file means the same everywhere.
"""

import ipaddress
import re
from typing import Final

from rwhoisd.inventory.facts import Address, Prefix, Span

# Ports that files name. The machine's /etc/services differs from one to the next.
PORTS: Final = {
    "ftp-data": 20, "ftp": 21, "ssh": 22, "telnet": 23, "smtp": 25, "mail": 25, "time": 37,
    "tacacs": 49, "domain": 53, "dns": 53, "bootps": 67, "dhcp": 67, "bootpc": 68, "tftp": 69,
    "gopher": 70, "finger": 79, "http": 80, "www": 80, "www-http": 80, "kerberos": 88, "pop2": 109,
    "pop3": 110, "sunrpc": 111, "portmapper": 111, "auth": 113, "ident": 113, "nntp": 119,
    "ntp": 123, "netbios-ns": 137, "netbios-dgm": 138, "netbios-ssn": 139, "imap": 143,
    "imap2": 143, "imap4": 143, "snmp": 161, "snmptrap": 162, "snmp-trap": 162, "bgp": 179,
    "irc": 194, "ldap": 389, "https": 443, "ssl": 443, "microsoft-ds": 445, "smtps": 465,
    "ssmtp": 465, "urd": 465, "isakmp": 500, "syslog": 514, "shell": 514, "printer": 515,
    "rtsp": 554, "submission": 587, "ipp": 631, "ldaps": 636, "rsync": 873, "domain-s": 853,
    "ftps-data": 989, "ftps": 990, "telnets": 992, "imaps": 993, "pop3s": 995, "socks": 1080,
    "ms-sql-s": 1433, "ms-sql-m": 1434, "oracle": 1521, "radius-auth": 1645, "l2f": 1701,
    "l2tp": 1701, "pptp": 1723, "radius": 1812, "radius-acct": 1813, "nfs": 2049,
    "squid": 3128, "iscsi": 3260, "iscsi-target": 3260, "mysql": 3306, "ms-wbt-server": 3389,
    "rdp": 3389, "svn": 3690, "rwhois": 4321, "sip": 5060, "sips": 5061, "sip-tls": 5061,
    "xmpp-client": 5222, "xmpp-server": 5269, "postgresql": 5432, "postgres": 5432, "amqp": 5672,
    "amqps": 5671, "x11": 6000, "redis": 6379, "http-alt": 8080, "webcache": 8080,
    "http-proxy": 8080, "https-alt": 8443, "git": 9418, "memcache": 11211, "memcached": 11211,
}  # fmt: skip

PROTOCOLS: Final = frozenset({"tcp", "udp", "sctp"})
# Marks of what a person or a tool has yet to fill in: ``<vip>``, ``{{ vip }}``, ``${VIP}``,
# ``%VIP%``, ``@VIP@``, ``X.X.X.222``, ``192.168.122.XXX``.
_PLACEHOLDER: Final = re.compile(
    r"[<>{}$%@]|\bX{1,3}\.|\.X{1,3}\b|\b(?:x\.x\.x|xxx|yyy)\b", re.IGNORECASE
)
_HOST: Final = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})(?:\.[A-Za-z0-9_-]{1,63})*\.?\Z"
)
_ZEROS: Final = re.compile(r"(?<![0-9])0+(?=[0-9])")


def address(text: str) -> Address | None:
    """The address in ``text``; brackets, a zone index and a mask are cut off. None: it is none."""
    text = text.strip().partition("/")[0].partition("%")[0].strip()
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    if ":" not in text:
        text = _ZEROS.sub("", text)  # 010.001.002.003, as some tables write it
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def prefix(text: str) -> Prefix | None:
    """The network of ``ADDRESS/LENGTH`` or ``ADDRESS/MASK``, host bits cleared, else None."""
    if "/" not in text:
        return None
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        return None


def network_of(host: str, mask: str) -> Prefix | None:
    """The network of an address and its mask or length, given apart; None when it is none."""
    return prefix(f"{host.strip().partition('/')[0]}/{mask.strip()}")


def span(text: str) -> Span | Prefix | Address | None:
    """``FIRST-LAST`` (also with a comma), else a prefix or an address. None: it is none of them.

    A range stays a range, even when it is a block: that is how its source has it.

    ``LAST`` may be the last octet alone, or the last group of an IPv6 address in hexadecimal.
    """
    first_text, separator, last_text = text.replace(",", "-", 1).partition("-")
    first = address(first_text)
    if not separator:
        return prefix(text) or first
    last_text = last_text.strip()
    if first is None or not last_text:
        return None
    mark = ":" if first.version == 6 else "."
    if mark not in last_text:
        last_text = str(first.exploded).rpartition(mark)[0] + mark + last_text
    last = address(last_text)
    if last is None or last.version != first.version or int(last) < int(first):
        return None
    return Span(first, last)


def addresses_of(text: str, most: int = 4096) -> list[Address] | None:
    """Every address of a range as ``span`` reads it; None: no range, or more than ``most``."""
    found = span(text)
    if found is None:
        return None
    if isinstance(found, Span):
        first, last = found.first, found.last
    elif isinstance(found, ipaddress.IPv4Network | ipaddress.IPv6Network):
        first, last = found[0], found[-1]
    else:
        first = last = found
    if int(last) - int(first) >= most:
        return None
    return [first + number for number in range(int(last) - int(first) + 1)]


def port(text: str) -> int | None:
    """A port by number or by name in the fixed table; None: it is none. 0 is no port."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        number = int(text[:6])
        return number if 0 < number < 65536 else None
    return PORTS.get(text.lower())


def protocol(text: str) -> str | None:
    """``tcp``, ``udp`` or ``sctp`` in lower case; None for another word."""
    folded = text.strip().lower()
    return folded if folded in PROTOCOLS else None


def host_port(text: str) -> tuple[str, str]:
    """Host and port of ``HOST:PORT``, ``[V6]:PORT``, ``V4``, ``[V6]`` or a bare IPv6 address.

    A bare address with several colons has no port. The port is "" when there is none.
    """
    text = text.strip()
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        return host, rest.removeprefix(":")
    if text.count(":") > 1:
        return text, ""
    host, _, rest = text.partition(":")
    return host, rest


def is_placeholder(text: str) -> bool:
    """Whether ``text`` is still to be filled in; such a word is a warning, never a fact."""
    return _PLACEHOLDER.search(text) is not None


def is_host_name(text: str) -> bool:
    """Whether ``text`` may stand as the name of a machine: no address, no placeholder."""
    return (
        _HOST.match(text) is not None
        and not is_placeholder(text)
        and address(text) is None
        and not text.replace(".", "").isdigit()
    )


def is_publishable(where: Address | Prefix | Span) -> bool:
    """Whether addresses may be published: no loopback, unspecified, link-local, multicast ones.

    Nor everything at once (``0.0.0.0/0``), which is nobody's allocation.
    """
    if isinstance(where, ipaddress.IPv4Network | ipaddress.IPv6Network):
        return where.prefixlen > 0 and is_publishable(where.network_address)
    if isinstance(where, Span):
        return is_publishable(where.first)
    mapped = where.ipv4_mapped if isinstance(where, ipaddress.IPv6Address) else None
    one = mapped or where
    bad = one.is_loopback or one.is_unspecified or one.is_link_local or one.is_multicast
    return not bad and not (one.version == 4 and int(one) == 0xFFFFFFFF)
