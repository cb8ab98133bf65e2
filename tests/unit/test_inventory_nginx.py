"""nginx: listens, members of upstreams, proxied addresses, includes and torn files."""

from pathlib import Path

import pytest

from rwhoisd.inventory.facts import Forwarding, RealServer, Vip
from rwhoisd.inventory.scan import scan
from rwhoisd.inventory.source import find_source
from tests.property.inventory_kit import read_text, rows_of


def rows(*texts: str) -> list[str]:
    return rows_of(read_text("nginx", *texts))


@pytest.mark.parametrize(
    ("listen", "expected"),
    [
        ("192.0.2.1", ["192.0.2.1 80/tcp"]),
        ("192.0.2.1:443 ssl http2", ["192.0.2.1 443/tcp"]),
        ("192.0.2.1:443 quic reuseport", ["192.0.2.1 443/udp"]),
        ("192.0.2.1:53 udp", ["192.0.2.1 53/udp"]),
        ("[2001:db8::1]:443", ["2001:db8::1 443/tcp"]),
        ("[2001:db8::1]", ["2001:db8::1 80/tcp"]),
        ("192.0.2.1:80-81", ["192.0.2.1 80/tcp", "192.0.2.1 81/tcp"]),
        ("80", []),
        ("*:80", []),
        ("[::]:80 ipv6only=on", []),
        ("0.0.0.0:80", []),
        ("127.0.0.1:80", []),
        ("localhost:80", []),
        ("edge.example.net:80", []),
        ("unix:/run/x.sock", []),
        ("8000-8010", []),
        ("${VIP}:80", []),
    ],
)
def test_a_listen_is_a_vip_when_it_names_an_address(listen: str, expected: list[str]) -> None:
    assert rows(f"server {{ listen {listen}; }}") == [f"vip {row}" for row in expected]


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        ("10.0.0.1", ["10.0.0.1 80/tcp @ u"]),
        ("10.0.0.1:8080 weight=5 max_fails=3", ["10.0.0.1 8080/tcp @ u"]),
        ("[2001:db8::1]:8080", ["2001:db8::1 8080/tcp @ u"]),
        ("10.0.0.1 down", ["10.0.0.1 80/tcp @ u (off)"]),
        ("app.example.net:8080 resolve", ["8080/tcp = app.example.net @ u"]),
        ("unix:/run/x.sock", []),
        ("127.0.0.1:9000", []),
        ("{{ ip }}:80", []),
        ("${IP}:80", []),
    ],
)
def test_a_member_of_an_upstream(server: str, expected: list[str]) -> None:
    assert rows(f"upstream u {{ server {server}; }}") == [f"rip {row}" for row in expected]


@pytest.mark.parametrize(
    ("name", "owner"),
    [("xxx.users", " @ xxx.users"), ("XXX.yyy", " @ XXX.yyy"), ("{{ pool }}", "")],
)
def test_an_upstream_has_any_name_that_is_written_out(name: str, owner: str) -> None:
    assert rows(f"upstream {name} {{ server 10.0.0.1; }}") == [f"rip 10.0.0.1 80/tcp{owner}"]


@pytest.mark.parametrize(
    "text",
    [
        "upstream u {\n ip_hash\n server 10.0.0.1;\n server 10.0.0.2;\n}",
        "upstream u {\n server 10.0.0.1\n server 10.0.0.2 # x\n}",
        "http {\n charset utf8\n\n upstream u\n {server 10.0.0.1; server 10.0.0.2}}",
    ],
)
def test_a_forgotten_end_costs_no_server(text: str) -> None:
    reading = read_text("nginx", text)
    assert rows_of(reading) == ["rip 10.0.0.1 80/tcp @ u", "rip 10.0.0.2 80/tcp @ u"]
    assert [found.line for found in reading.findings] == [2]


def test_lines_of_a_template_are_no_part_of_a_statement() -> None:
    reading = read_text("nginx", "upstream u {\n{% if x %}\n server 10.0.0.1;\n{% endif %}\n}")
    assert rows_of(reading) == ["rip 10.0.0.1 80/tcp @ u"]
    assert reading.findings == []


def test_a_statement_may_take_several_lines() -> None:
    text = "log_format a\n '$remote_addr'\n 'server'\n server_x;\nupstream u { server\n 10.0.0.1; }"
    reading = read_text("nginx", text)
    assert rows_of(reading) == ["rip 10.0.0.1 80/tcp @ u"]
    assert reading.findings == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("server 10.0.0.1:82;\nserver 10.0.0.2;", ["rip 10.0.0.1 82/tcp", "rip 10.0.0.2 80/tcp"]),
        ("server app.example.net:82;", ["rip 82/tcp = app.example.net"]),
        ("server app.example.net;", []),
        ("location / { proxy_pass http://10.0.0.1:82; }", ["rip 10.0.0.1 82/tcp"]),
        ("proxy_pass http://10.0.0.1;", ["rip 10.0.0.1 80/tcp"]),
        ("listen 192.0.2.1:443 ssl;", ["vip 192.0.2.1 443/tcp"]),
    ],
)
def test_a_file_that_is_to_stand_within_a_block(text: str, expected: list[str]) -> None:
    assert rows(text) == expected


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("proxy_pass http://10.0.0.1", ["10.0.0.1 80/tcp"]),
        ("proxy_pass https://10.0.0.1/x/", ["10.0.0.1 443/tcp"]),
        ("proxy_pass http://10.0.0.1:8080$request_uri", ["10.0.0.1 8080/tcp"]),
        ("proxy_pass http://[2001:db8::1]:8080/", ["2001:db8::1 8080/tcp"]),
        ("proxy_pass $scheme://10.0.0.1:8080", ["10.0.0.1 8080/tcp"]),
        ("proxy_pass http://app.example.net:8080", ["8080/tcp = app.example.net"]),
        ("fastcgi_pass 10.0.0.1:9000", ["10.0.0.1 9000/tcp"]),
        ("grpc_pass grpcs://10.0.0.1", ["10.0.0.1 443/tcp"]),
        ("memcached_pass 10.0.0.1:11211", ["10.0.0.1 11211/tcp"]),
        ("set $up 10.0.0.1; proxy_pass http://$up:8080", ["10.0.0.1 8080/tcp"]),
        ("proxy_pass http://app", []),  # an upstream of another file, or some site
        ("proxy_pass https://www.example.net/", []),
        ("proxy_pass http://localhost:3000", []),
        ("proxy_pass http://unix:/run/x.sock:/", []),
        ("proxy_pass http://$elsewhere", []),
        ("auth_request http://10.0.0.1/", []),
        ("resolver 10.0.0.1", []),
    ],
)
def test_what_a_server_hands_on_to(statement: str, expected: list[str]) -> None:
    text = f"server {{ listen 80; location / {{ {statement}; }} }}"
    assert rows(text) == [f"rip {row}" for row in expected]


def test_a_proxied_address_belongs_to_the_vips_of_its_server() -> None:
    listens = "listen 192.0.2.1:443 ssl; listen 192.0.2.1:443 quic;"
    text = f"server {{ {listens} proxy_pass http://10.0.0.1; }}"
    assert rows(text)[2:] == [
        "rip 10.0.0.1 80/tcp @ 192.0.2.1:443/tcp",
        "rip 10.0.0.1 80/tcp @ 192.0.2.1:443/udp",
    ]


def test_an_upstream_may_be_called_like_a_host_and_stand_in_another_file() -> None:
    pool = "upstream App.example.net:8080 { server 10.0.0.1; }"
    site = "server { listen 192.0.2.1:53 udp; proxy_pass http://app.example.net:8080/; }"
    assert rows(site, pool) == [
        "vip 192.0.2.1 53/udp",
        "rip 10.0.0.1 80/udp @ App.example.net:8080",
    ]


def test_pools_of_one_name_in_two_contexts_are_two() -> None:
    text = (
        "http { upstream u { server 10.0.0.1; } server { listen 80; proxy_pass http://u; } }\n"
        "stream { upstream u { server 10.0.0.2:53; } server { listen 53 udp; proxy_pass u; } }"
    )
    assert rows(text) == ["rip 10.0.0.1 80/tcp @ u", "rip 10.0.0.2 53/udp @ u"]


def test_a_variable_of_a_map_stands_for_all_its_values() -> None:
    text = (
        "stream { upstream u { server 10.0.0.1:443; }\n"
        "map $ssl_preread_server_name $to { hostnames; a.example.net 10.0.0.2:443; default u; }\n"
        "server { listen 192.0.2.1:443; proxy_pass $to; } }"
    )
    assert rows(text) == [
        "vip 192.0.2.1 443/tcp",
        "rip 10.0.0.1 443/tcp @ u",
        "rip 10.0.0.2 443/tcp @ 192.0.2.1:443/tcp",
    ]


def test_a_vip_is_told_once_and_named_when_all_agree() -> None:
    one = "server { listen 192.0.2.1; server_name _ a.example.net b.example.net; }"
    assert rows(one) == ["vip 192.0.2.1 80/tcp = a.example.net"]
    assert rows(one, one.replace("a.ex", "c.ex")) == ["vip 192.0.2.1 80/tcp"]


def test_what_is_published_beside() -> None:
    text = (
        "upstream u { server 10.0.0.1 backup; } server { listen 192.0.2.1; proxy_pass http://u; }"
    )
    vip, server = read_text("nginx", text).facts
    assert isinstance(vip, Vip)
    assert (vip.pool, vip.forwarding) == ("u", Forwarding.PROXY)
    assert isinstance(server, RealServer)
    assert (server.standby, server.pool, server.forwarding) == (True, "u", Forwarding.PROXY)


@pytest.mark.parametrize(
    "text",
    [
        "http { upstream u { server 10.0.0.1; }",
        "upstream u { server 10.0.0.1; } }",
        "upstream u { server 10.0.0.1; }\nupstream v",
    ],
)
def test_a_torn_file_is_not_the_whole_and_still_read(text: str) -> None:
    reading = read_text("nginx", text)
    assert rows_of(reading) == ["rip 10.0.0.1 80/tcp @ u"]
    assert any("not the whole source" in found.message for found in reading.findings)


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "worker_processes 1;\n# end", "a { b c; }\n  # }\n", "{% end %}\n"]
)
def test_a_whole_file_is_whole(text: str) -> None:
    assert read_text("nginx", text).findings == []


def test_lua_is_no_configuration() -> None:
    assert rows("server { content_by_lua_block { upstream u { server 10.0.0.1; } } }") == []


def test_includes_are_read_once_and_within_the_root(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "a.conf").write_text("upstream u { server 10.0.0.1; include a.conf; }")
    main = tmp_path / "nginx.conf"
    main.write_text("http { include mime.types; include conf.d/*.conf; include /etc/passwd; }")
    inner = tmp_path / "conf.d" / "a.conf"
    reading = scan(find_source("nginx"), [main, inner], root=tmp_path)
    assert rows_of(reading) == ["rip 10.0.0.1 80/tcp @ u"]
    assert [found.line for found in reading.findings] == [1]  # /etc/passwd lies outside
    alone = scan(find_source("nginx"), [main])
    assert len(alone.findings) == 2
