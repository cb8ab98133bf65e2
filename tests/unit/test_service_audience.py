"""Areas with an audience: who sees them, and what stays as it is for those who do not.

That nothing shows at all is tests/property/test_audience.py.
"""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.dialect import DIALECTS
from rwhoisd.directory.names import AreaName
from rwhoisd.directory.objects import Object
from rwhoisd.image.build import build
from rwhoisd.image.catch_up import catch_up
from rwhoisd.image.current import ImageReader
from rwhoisd.query.parser import Allowed
from rwhoisd.service import service as service_module
from rwhoisd.service.ports import Ports
from rwhoisd.service.service import Service
from rwhoisd.testing.memory_source import MemorySource
from tests.unit import service_kit as kit

INSIDE, OUTSIDE = "10.1.2.3", "192.0.2.7"
PRIVATE = ("10.0.0.0/8",)
UNKNOWN_AREA = ["%error 340 Invalid authority area"]
NOTHING = ["%error 230 No objects found"]


def closed(*names: str) -> list[AuthorityArea]:
    """The areas of the kit, some of them answered to 10/8 only."""
    return [replace(a, audience=PRIVATE if a.name.text in names else ()) for a in kit.AREAS]


def service(folder: Path, *names: str, objects: tuple[Object, ...] = kit.OBJECTS) -> Service:
    reader = kit.open_reader(folder, closed(*names), objects, "rfc")
    return Service(reader, kit.settings("rfc"), Ports(registry=kit.FakeRegistry(objects)))


def ask(one: Service, client: str, *lines: str) -> list[str]:
    talk = kit.Talk(one, client)
    talk.session.peer.holdconnect = True
    return talk.say(*lines)


@pytest.mark.parametrize(
    ("client", "sees"),
    [
        pytest.param("10.1.2.3", True, id="inside"),
        pytest.param("::ffff:10.1.2.3", True, id="mapped"),
        pytest.param("::ffff:a01:203", True, id="mapped in hex"),
        pytest.param("192.0.2.7", False, id="outside"),
        pytest.param("::ffff:192.0.2.7", False, id="mapped outside"),
        pytest.param("2001:db8::1", False, id="other family"),
        pytest.param("::a01:203", False, id="IPv6 of the same number"),
        pytest.param("", False, id="local socket"),
        pytest.param("/run/rwhoisd.sock", False, id="no address"),
    ],
)
def test_who_is_in_the_audience(tmp_path: Path, client: str, sees: bool) -> None:
    one = service(tmp_path, "10.0.0.0/8")
    assert ("network:Network-Name:TEN" in ask(one, client, "network 10.1.2.3")) is sees
    assert ("%soa authority:10.0.0.0/8" in ask(one, client, "-soa")) is sees


def test_the_cache_does_not_mix_audiences(tmp_path: Path) -> None:
    one = service(tmp_path, "10.0.0.0/8")
    for _ in range(4):
        assert ask(one, OUTSIDE, "10.1.2.3") == NOTHING
        assert "network:Network-Name:TEN" in ask(one, INSIDE, "10.1.2.3")


@pytest.mark.parametrize(
    "lines",
    [
        ("-soa 10.0.0.0/8",),
        ("-class 10.0.0.0/8",),
        ("-schema 10.0.0.0/8 network",),
        ("-xfer 10.0.0.0/8",),
        ("-notify inssec h.example:4321:10.0.0.0/8",),
        ("-register on add a@a.com", "Auth-Area: 10.0.0.0/8", "Class-Name: network"),
        (
            *("-register on mod a@a.com", "ID: N1.10.0.0.0/8", "Updated: 1", "_NEW_"),
            *("Auth-Area: 10.0.0.0/8", "Class-Name: network"),
        ),
    ],
    ids=lambda lines: lines[0],
)
def test_a_hidden_area_is_unknown(tmp_path: Path, lines: tuple[str, ...]) -> None:
    one = service(tmp_path, "10.0.0.0/8")
    asked = (*lines, "-register off") if len(lines) > 1 else lines
    assert ask(one, OUTSIDE, *asked)[-1].startswith("%error 340 ")
    assert not ask(one, INSIDE, *asked)[-1].startswith("%error 340 ")


def test_an_object_of_a_hidden_area_cannot_be_deleted(tmp_path: Path) -> None:
    one = service(tmp_path, "a.com")
    asked = ("-register on del a@a.com", "ID: 9.a.com", "Updated: 1", "-register off")
    assert ask(one, OUTSIDE, *asked) == ["%ok", "%error 336 Object not found"]
    assert ask(one, INSIDE, *asked)[-1].startswith("%error 325")


def test_classes_of_hidden_areas_are_no_words(tmp_path: Path) -> None:
    one = service(tmp_path, "10.0.0.0/8")
    assert ask(one, OUTSIDE, "network 10.1.2.3")[0].startswith("%error 341")
    assert ask(one, OUTSIDE, "network-name=ten")[0].startswith("%error 320")


def test_the_status_counts_what_the_client_can_find(tmp_path: Path) -> None:
    one = service(tmp_path, "10.0.0.0/8")
    assert f"%status objects:{len(kit.OBJECTS)}" in ask(one, INSIDE, "-status")
    assert f"%status objects:{len(kit.OBJECTS) - 1}" in ask(one, OUTSIDE, "-status")


def test_guardians_guard_from_hidden_areas(tmp_path: Path) -> None:
    """Hiding an area opens nothing: who guards an object does not depend on who asks."""
    guarded = kit.entry("a.com", "contact", "ID:6.a.com|Name:Far|Guardian:G.b.net|Pin:46")
    one = service(tmp_path, "b.net", objects=(*kit.OBJECTS, guarded))
    assert "contact:Pin:46" not in ask(one, OUTSIDE, "name=far")
    for client in (INSIDE, OUTSIDE):
        said = ask(one, client, "-security on request pw area", "name=far", "guardian id=G.b.net")
        assert "contact:Pin:46" in said
        assert ("guardian:ID:G.b.net" in said) is (client == INSIDE)


def test_referrals_of_a_hidden_area_are_not_given(tmp_path: Path) -> None:
    link = "%referral rwhois://far.example.com:4321/auth-area=sub.a.com"
    one = service(tmp_path, "a.com")
    assert ask(one, INSIDE, "x.sub.a.com") == [link, "%ok"]
    assert ask(one, OUTSIDE, "x.sub.a.com") == NOTHING


def test_an_image_learns_of_an_audience_without_being_built(tmp_path: Path) -> None:
    source = MemorySource(*kit.AREAS)
    for obj in kit.OBJECTS:
        source.add(obj)
    asyncio.run(build(source, tmp_path, DIALECTS["rfc"].eol))
    reader = ImageReader(tmp_path)
    one = Service(reader, kit.settings("rfc"))
    assert ask(one, OUTSIDE, "-soa 10.0.0.0/8")[-1] == "%ok"
    generation = reader.current().version[0]
    for audience, answer in ((PRIVATE, UNKNOWN_AREA[0]), ((), "%ok"), (PRIVATE, UNKNOWN_AREA[0])):
        source.put_area(replace(kit.NETWORK_AREA, audience=audience))
        assert asyncio.run(catch_up(source, tmp_path))
        assert ask(one, OUTSIDE, "-soa 10.0.0.0/8")[-1] == answer
    assert reader.current().version[0] == generation


def test_no_handler_takes_an_image_that_is_not_the_clients() -> None:
    folder = Path(service_module.__file__).parent
    taking = [f.name for f in sorted(folder.glob("*.py")) if ".current()" in f.read_text()]
    assert taking == ["context.py", "service.py"]  # both ask for the view at once


@pytest.mark.parametrize("word", ["*aa*", "*aa"])
@pytest.mark.parametrize("reverse", [False, True], ids=["", "reversed"])
def test_when_a_query_is_too_complex_does_not_depend_on_what_is_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str, reverse: bool
) -> None:
    monkeypatch.setattr("rwhoisd.image.search._GATHERED", 4)
    monkeypatch.setattr("rwhoisd.image.search._REVERSED", 4)
    services = []
    for text in ("x{}y", "{}aa"):  # nothing of it found, or all of it
        source = MemorySource(*closed("b.net"))
        for n in range(30):
            source.add(kit.entry("b.net", "contact", f"Name:{text.format(n)}"))
        source.add(kit.entry("a.com", "contact", "Name:Ann|Email:a@a.com"))
        folder = tmp_path / text
        asyncio.run(build(source, folder, DIALECTS["rfc"].eol, reverse=reverse))
        chosen = kit.settings("rfc", allowed=Allowed(leading_wildcard=True), cache_octets=0)
        services.append(Service(ImageReader(folder), chosen))
    for scan in range(0, 90, 3):
        monkeypatch.setattr("rwhoisd.image.search.SCAN", scan)
        first, second = (ask(one, OUTSIDE, word) for one in services)
        assert first == second


def test_views_cost_nothing_where_no_area_has_an_audience(tmp_path: Path) -> None:
    image = kit.open_reader(tmp_path).current()
    assert not image.restricted
    assert image.view_for(OUTSIDE) is image
    assert image.whole is image


def test_a_view_is_made_once_for_all_who_see_the_same(tmp_path: Path) -> None:
    image = kit.open_reader(tmp_path, closed("a.com", "b.net")).current()
    assert image.view_for(INSIDE) is image
    view = image.view_for(OUTSIDE)
    assert view is image.view_for("192.0.2.99")
    assert [a.name.text for a in view.areas] == ["10.0.0.0/8", "c.org"]
    assert len(image.areas) == len(view.whole.areas) == len(kit.AREAS)


@pytest.mark.parametrize("audience", [("10.0.0.1/8",), ("all",), ("10.0.0.0/8", "10.0.0.0/8")])
def test_an_area_has_no_audience_that_cannot_be_held(audience: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"prefix|everybody|canonically"):
        AuthorityArea(AreaName.from_text("a.com"), None, audience=audience)
