"""Files of load balancers and clusters, broken in every way: no error, no hang, no secret."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.property.inventory_kit import SECRETS, mangled, read_text, said, soups

FIXTURES: Final = Path(__file__).parent.parent / "inventory_fixtures"
MARK: Final = "SECRET"
HOSTS: Final = (
    "192.0.2.1", "192.0.2.1:80", "[2001:db8::1]:443", "2001:db8::1:443", "*:80", ":80", "${VIP}:80",
    "db1.example.net:3306", "10.0.0.1-10.0.0.9", "192.0.2.1:1-65535", "{{ vip }}", "127.0.0.1:8080",
)  # fmt: skip


@dataclass(frozen=True)
class Format:
    kind: str
    fixture: str
    tokens: tuple[str, ...]
    secrets: str  # a good text with each kind of secret that the format may hold


FORMATS: Final = (
    Format(
        "haproxy",
        "haproxy.cfg",
        (
            "frontend", "backend", "listen", "defaults", "global", "peers", "userlist", "bind",
            "server", "server-template", "default_backend", "use_backend", "mode log", "web",
            "quic4@192.0.2.1:443", "a:1,b:2", "+1", '"', "'", "\\", "#", "setenv", "disabled",
            *HOSTS,
        ),
        "global\n setenv PASS SECRET\nuserlist u\n user a password SECRET\n"
        " user b insecure-password SECRET\nfrontend f\n bind 192.0.2.1:80 ssl crt SECRET\n"
        " stats auth admin:SECRET\n default_backend b\nbackend b\n"
        " http-request set-header Authorization SECRET\n http-check send hdr X SECRET\n"
        " server s 10.0.0.1:80 check cookie SECRET\n server t 10.0.0.3:80 password ${PASS}\n"
        ' server u 10.0.0.2:80 "SECRET\n',
    ),
    Format(
        "nginx",
        "nginx.conf",
        (
            "http", "stream", "upstream", "server", "location", "map", "listen", "proxy_pass",
            "fastcgi_pass", "set", "include", "server_name", "$a", "${b}", "http://", "https://",
            "unix:/run/x", "udp", "quic", "down", "backup", "{", "}", ";", '"', "'", "\\", "#",
            "content_by_lua_block", "default", *HOSTS,
        ),
        "http { upstream u { server 10.0.0.1:80 route=SECRET; sticky cookie SECRET; }\n"
        "server { listen 192.0.2.1:443 ssl; ssl_certificate_key SECRET; server_name w.example;\n"
        "auth_basic SECRET; proxy_set_header Authorization 'Basic SECRET';\n"
        "secure_link_md5 SECRET; set $key SECRET;\n"
        "location / { proxy_pass http://a:SECRET@10.0.0.2:80/SECRET?key=SECRET; }\n"
        "location /b { proxy_pass http://u/?SECRET; }\n"
        "location /c { if ($arg_k != SECRET) { return 403; } fastcgi_param P SECRET; } } }\n",
    ),
    Format(
        "ldirectord",
        "ldirectord.cf",
        (
            "virtual=", "virtual6=", "\treal=", "\treal6=", "\tfallback=", "fallback=", "[vip]",
            "eth0:1=", "\tprotocol=", "udp", "fwm", "7", "gate", "masq", "->", ":domain",
            "\tservicename=", "\tservice=dns", "#", "=", *HOSTS,
        ),
        'emailalert="SECRET"\nvirtual=192.0.2.1:80\n\treal=10.0.0.1:80 gate 1 "SECRET", "SECRET"\n'
        '\tlogin="SECRET"\n\tpasswd="SECRET"\n\tsecret="SECRET"\n\tdatabase="SECRET"\n'
        '\trequest="SECRET"\n\treceive="SECRET"\n\tprotocol=tcp\n',
    ),
    Format(
        "heartbeat",
        "haresources",
        (
            "node1", "IPaddr::", "IPaddr2::", "IPv6addr::", "::", "/24/eth0", "Filesystem::/dev/x",
            "\\\n", "#", "httpd", "192.0.2.XXX", *HOSTS,
        ),
        "node1 192.0.2.1 Filesystem::/dev/sda::/srv::cifs::password=SECRET script::SECRET\n"
        "node2 IPaddr::192.0.2.2/24/eth0 \\\n\tftp::SECRET # SECRET\n",
    ),
    Format(
        "pacemaker",
        "cluster.crm",
        (
            "node", "primitive", "group", "rsc_template", "bundle", "params", "meta", "op", "ip=",
            "IPaddr2", "ocf:heartbeat:IPv6addr", "@tmpl", "target-role=Stopped", "replicas=3",
            "ip-range-start=", "\\\n", '"', "'", "#", "crm configure", "rule", *HOSTS,
        ),
        "node 1: a\nprimitive p stonith:fence_x params ip=10.0.0.9 passwd=SECRET login='SECRET'\n"
        "primitive v IPaddr2 \\\n params ip=192.0.2.1 key=SECRET \\\n op monitor token=SECRET\n"
        'property x: password="SECRET"\ngroup g v meta note=SECRET\n',
    ),
    Format(
        "pacemaker",
        "cib.xml",
        (
            "<cib>", "</cib>", "<nodes>", "</nodes>", "<resources>", "</resources>", "<primitive ",
            'type="IPaddr2"', 'id="x"', ">", "</primitive>", "<instance_attributes>", "/>",
            '<nvpair name="ip" value="192.0.2.1"/>', "</instance_attributes>", "<group>", "&x;",
            '<!DOCTYPE x [<!ENTITY x "y">]>', '<node uname="a"/>', "<!--", "-->", "]]>", *HOSTS,
        ),
        '<cib><configuration><nodes><node id="1" uname="a"><instance_attributes>'
        '<nvpair name="token" value="SECRET"/></instance_attributes></node></nodes><resources>'
        '<primitive id="f" class="stonith" type="fence_x"><instance_attributes>'
        '<nvpair name="ip" value="10.0.0.9"/><nvpair name="passwd" value="SECRET"/>'
        '</instance_attributes></primitive><primitive id="v" type="IPaddr2"><instance_attributes>'
        '<nvpair name="ip" value="192.0.2.1"/><nvpair name="key" value="SECRET"/>'
        "</instance_attributes></primitive></resources></configuration></cib>",
    ),
)  # fmt: skip
each_format = pytest.mark.parametrize(
    "form", [pytest.param(form, id=f"{form.kind}/{form.fixture}") for form in FORMATS]
)


@each_format
@given(data=st.data())
def test_any_text_is_read_without_an_error(form: Format, data: st.DataObject) -> None:
    reading = read_text(form.kind, data.draw(soups(form.tokens)))
    assert all(fact.where is not None or fact.name for fact in reading.facts)
    assert all(fact.port is None or 0 < fact.port < 65536 for fact in reading.facts)


@each_format
@given(data=st.data())
def test_a_broken_file_gives_no_address_that_the_good_one_forbids(
    form: Format, data: st.DataObject
) -> None:
    good = (FIXTURES / form.kind / form.fixture).read_text()
    reading = read_text(form.kind, data.draw(mangled(good)))
    assert "127.0.0.1" not in said(reading)


@each_format
@given(secret=SECRETS, data=st.data())
def test_a_secret_is_never_told(form: Format, secret: str, data: st.DataObject) -> None:
    planted = form.secrets.replace(MARK, secret)
    whole = read_text(form.kind, planted)
    assert whole.facts
    assert secret not in said(whole)
    cut = data.draw(st.integers(0, len(planted)))
    assert secret not in said(read_text(form.kind, planted[:cut]))


@each_format
def test_a_long_line_takes_no_time(form: Format) -> None:
    for token in (
        "{",
        "(",
        '"',
        "\\",
        "a:",
        "192.0.2.1,",
        "::",
        "<a>",
        "$",
        "{{",
        "x=",
        "->",
        '"a\\',
        "'a\\ ",
        "a\\ ",
        "${",
        "\t",
    ):
        read_text(form.kind, token * 20_000)
