"""What a running server takes of a new configuration."""

from typing import Any

import pytest

from rwhoisd.config import Config, build
from rwhoisd.server.reload import carried_on

TLS = {"certificate": "a.pem", "key": "a.key"}
CLEAR = {"host": "127.0.0.1", "port": 4321}
SECURE = {"host": "127.0.0.1", "port": 4322, "tls": TLS}


def config(**changes: Any) -> Config:
    return build({"listen": [CLEAR, SECURE], **changes})


def ports(made: Config) -> list[tuple[int, bool]]:
    return [(row.port, row.tls is not None) for row in made.listen]


@pytest.mark.parametrize(
    ("rows", "remarks"),
    [
        pytest.param([CLEAR, SECURE], [], id="same"),
        pytest.param([SECURE, CLEAR], [], id="turned"),
        pytest.param([SECURE], ["127.0.0.1:4321 is listened on until a restart"], id="gone"),
        pytest.param(
            [{"port": 43}, CLEAR, SECURE], ["*:43 is new: it is listened on after"], id="new"
        ),
    ],
)
def test_tls_stays_with_its_port(rows: list[dict[str, Any]], remarks: list[str]) -> None:
    made, told = carried_on(config(), config(listen=rows))
    assert ports(made) == [(4321, False), (4322, True)]
    assert len(told) == len(remarks)
    assert all(line.startswith(words) for line, words in zip(told, remarks, strict=True))


def test_rules_and_tls_of_an_address_are_taken() -> None:
    row = {**CLEAR, "deny": ["192.0.2.0/24"]}
    other = {**SECURE, "tls": {"certificate": "b.pem", "key": "b.key"}}
    made, told = carried_on(config(), config(listen=[other, row]))
    assert made.listen[0].deny == ("192.0.2.0/24",)
    assert made.listen[1].tls is not None
    assert made.listen[1].tls.certificate.name == "b.pem"
    assert told == []


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"state": "/other"}, "state"),
        ({"workers": 7}, "workers"),
        ({"user": "somebody"}, "user"),
        ({"image": {"path": "/elsewhere"}}, "image"),
        ({"store": {"url": "postgresql://u:s3cret@db/x"}}, "store.url"),
    ],
)
def test_what_was_used_at_the_start_stays(changes: dict[str, Any], name: str) -> None:
    running = config()
    made, told = carried_on(running, config(**changes))
    assert made == running
    assert told == [f"{name} was changed: it takes effect after a restart"]


def test_what_may_change_does() -> None:
    made, told = carried_on(config(), config(host="ns", store={"poll_seconds": 9}))
    assert (made.host, made.store.poll_seconds, told) == ("ns", 9, [])
