"""A NetBox of a few folders on loopback, in the shapes of its OpenAPI description.

Pages as the real one: ``count``, ``next``, ``previous``, ``results``; tokens of both kinds; what
goes wrong is told to it by folder.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

V1: Final = "0123456789abcdef0123456789abcdef01234567"
V2: Final = "nbt_abcdefABCDEF.Zq3r5t7y9uZq"
Rows = list[dict[str, Any]]


def nested(folder: str, key: int, **fields: Any) -> dict[str, Any]:
    """A record within another one."""
    return {"id": key, "url": f"http://netbox.example.net/api/{folder}/{key}/", **fields}


def label(value: str, text: str) -> dict[str, str]:
    return {"value": value, "label": text}


IPV4: Final = {"value": 4, "label": "IPv4"}
ACTIVE: Final = label("active", "Active")
WEB1: Final = nested("dcim/devices", 1, display="web1", name="web1", description="")
GROUP: Final = nested(
    "ipam/fhrp-groups", 5, display="VRRPv3: 10", protocol="vrrp3", group_id=10, description=""
)


def address(key: int, written: str, **fields: Any) -> dict[str, Any]:
    return {
        **nested("ipam/ip-addresses", key, display=written), "family": IPV4, "address": written,
        "vrf": None, "tenant": None, "status": ACTIVE, "role": None, "assigned_object_type": None,
        "assigned_object_id": None, "assigned_object": None, "nat_inside": None,
        "nat_outside": [], "dns_name": "", "description": "", "comments": "", "tags": [],
        "custom_fields": {"note": "Zq-custom-Zq"}, **fields,
    }  # fmt: skip


def on_device(device: dict[str, Any], interface: str) -> dict[str, Any]:
    held = nested("dcim/interfaces", 70, display=interface, device=device, name=interface)
    return {
        "assigned_object_type": "dcim.interface", "assigned_object_id": 70, "assigned_object": held
    }  # fmt: skip


def world() -> dict[str, Rows]:
    """What the stub holds, by folder."""
    vip = address(
        3, "198.51.100.80/32", assigned_object_type="ipam.fhrpgroup", assigned_object_id=5,
        assigned_object=GROUP, dns_name="www.example.net",
    )  # fmt: skip
    return {
        "ipam/aggregates": [
            {**nested("ipam/aggregates", 1), "family": IPV4, "prefix": "198.51.100.0/24",
             "rir": nested("ipam/rirs", 1, name="ARIN"), "tenant": None, "tags": []},
        ],
        "ipam/prefixes": [
            {**nested("ipam/prefixes", 1), "family": IPV4, "prefix": "198.51.100.64/27",
             "vrf": None, "scope_type": "dcim.site", "scope_id": 1,
             "scope": nested("dcim/sites", 1, name="fra1"),
             "tenant": nested("tenancy/tenants", 1, name="Acme"), "status": ACTIVE, "role": None},
            {**nested("ipam/prefixes", 2), "family": {"value": 6, "label": "IPv6"},
             "prefix": "2001:db8:5::/48", "vrf": None, "scope": None, "tenant": None,
             "status": label("reserved", "Reserved"), "role": None},
        ],
        "ipam/ip-ranges": [
            {**nested("ipam/ip-ranges", 1), "family": IPV4, "start_address": "192.0.2.10/24",
             "end_address": "192.0.2.20/24", "size": 11, "status": ACTIVE, "role": None},
        ],
        "ipam/ip-addresses": [
            address(1, "10.20.0.11/24", **on_device(WEB1, "eth0")),
            address(2, "10.20.0.12/24", dns_name="web2.example.net"),
            vip,
            address(4, "198.51.100.81/32", role=label("vip", "VIP"), **on_device(WEB1, "lo:0")),
            address(5, "10.20.0.13/24", status=label("deprecated", "Deprecated")),
        ],
        "ipam/fhrp-groups": [
            {**GROUP, "name": "front", "auth_type": "plaintext", "auth_key": "Zq-vrrp-Zq",
             "ip_addresses": [nested("ipam/ip-addresses", 3, address="198.51.100.80/32")]},
        ],
        "ipam/services": [
            {**nested("ipam/services", 1, display="https (TCP/443)"), "name": "https",
             "parent_object_type": "ipam.fhrpgroup", "parent_object_id": 5, "parent": GROUP,
             "protocol": label("tcp", "TCP"), "ports": [80, 443],
             "ipaddresses": [nested("ipam/ip-addresses", 3, address="198.51.100.80/32")]},
        ],
        "dcim/devices": [
            {**WEB1, "status": ACTIVE, "local_context_data": {"password": "Zq-context-Zq"},
             "primary_ip": nested("ipam/ip-addresses", 1, address="10.20.0.11/24"),
             "primary_ip4": nested("ipam/ip-addresses", 1, address="10.20.0.11/24"),
             "primary_ip6": None},
        ],
        "virtualization/virtual-machines": [
            {**nested("virtualization/virtual-machines", 9), "name": "vm9", "status": ACTIVE,
             "primary_ip": nested("ipam/ip-addresses", 40, address="10.20.0.40/24"),
             "primary_ip4": nested("ipam/ip-addresses", 40, address="10.20.0.40/24"),
             "primary_ip6": None},
        ],
    }  # fmt: skip


@dataclass
class Stub:
    """What it holds, how it fails, and what it was asked."""

    token: str = V1
    version: str = "4.4"
    folders: dict[str, Rows] = field(default_factory=world)
    most: int = 1000  # MAX_PAGE_SIZE
    failing: dict[tuple[str, int], int] = field(default_factory=dict)  # (folder, offset): status
    once: dict[str, int] = field(default_factory=dict)  # folder: status of its first answer
    answers: dict[str, bytes] = field(default_factory=dict)  # folder: instead of a page
    counts: dict[str, int] = field(default_factory=dict)
    slow: dict[str, float] = field(default_factory=dict)  # folder: seconds
    moved: dict[str, str] = field(default_factory=dict)  # folder: Location
    over: threading.Event = field(default_factory=threading.Event)  # nobody is slow any more
    asked: list[tuple[str, str, dict[str, list[str]]]] = field(default_factory=list)
    url: str = ""

    def answer(self, folder: str, query: dict[str, list[str]]) -> tuple[int, bytes]:
        """Status and body for a list of a folder."""
        rows = self.folders.get(folder)
        if rows is None:
            return 404, b'{"detail": "Not found."}'
        offset = int(query.get("offset", ["0"])[0])
        status = self.once.pop(folder, 0) or self.failing.get((folder, offset), 0)
        if status:
            return status, b'{"detail": "refused"}'
        if folder in self.answers:
            return 200, self.answers[folder]
        limit = min(int(query.get("limit", ["50"])[0]), self.most)
        end = offset + limit
        more = {"limit": limit, "offset": end}
        following = f"http://netbox.example.net/api/{folder}/?{urlencode(more)}"
        page = {
            "count": self.counts.get(folder, len(rows)),
            "next": following if end < len(rows) else None,
            "previous": None,
            "results": rows[offset:end],
        }
        return 200, json.dumps(page).encode()


class _Handler(BaseHTTPRequestHandler):
    stub: Stub
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        stub, parts = self.stub, urlsplit(self.path)
        folder = parts.path.removeprefix("/api/").strip("/")
        query = parse_qs(parts.query)
        stub.asked.append((self.command, folder, query))
        stub.over.wait(stub.slow.get(folder, 0))
        if folder in stub.moved:
            self._send(302, b"", Location=stub.moved[folder])
        elif not self._is_known():
            self._send(403, b'{"detail": "Invalid token"}')
        elif not folder:
            self._send(200, b"{}")
        else:
            self._send(*stub.answer(folder, query))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve  # noqa: N815

    def _is_known(self) -> bool:
        scheme = "Bearer" if self.stub.token.startswith("nbt_") else "Token"
        return self.headers.get("Authorization") == f"{scheme} {self.stub.token}"

    def _send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        sent = {"API-Version": self.stub.version, "Retry-After": "0"} | headers
        for name, value in sent.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Says nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away in the middle is part of the tests."""


@contextmanager
def serving(stub: Stub) -> Iterator[Stub]:
    """The stub on a port of loopback."""
    handler = type("Handler", (_Handler,), {"stub": stub})
    server = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    stub.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield stub
    finally:
        stub.over.set()
        server.shutdown()
        thread.join()
        server.server_close()
