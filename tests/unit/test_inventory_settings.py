"""``inventory.toml``: what it may say, and every mistake with its line and its mend."""

from pathlib import Path

import pytest

from rwhoisd.formats.findings import FormatError
from rwhoisd.inventory.facts import Kind
from rwhoisd.inventory.settings import read_inventory

SOURCE = '[[source]]\nname = "edge"\nkind = "keepalived"\nfiles = ["a.conf"]\n'
SAMPLE = Path(__file__).parents[2] / "data" / "platform" / "inventory.toml"


def written(folder: Path, text: str) -> Path:
    path = folder / "inventory.toml"
    path.write_text(text)
    return path


def mistakes(folder: Path, text: str) -> list[str]:
    path = written(folder, text)
    with pytest.raises(FormatError) as caught:
        read_inventory(path)
    return [str(finding).removeprefix(str(path)) for finding in caught.value.findings]


def test_defaults(tmp_path: Path) -> None:
    table = read_inventory(written(tmp_path, SOURCE)).table
    assert (table.max_removals, table.release_days) == (0.1, 30)
    assert (table.audit.reporting_v4, table.audit.reporting_v6) == (29, 47)
    assert table.source[0].publish == tuple(Kind)


def test_the_sample_platform() -> None:
    inventory = read_inventory(SAMPLE)
    files = [inventory.files_of(source) for source in inventory.table.source]
    assert all(path.exists() for some in files for path in some)
    assert [path.parts[-4] for path in files[0]] == ["lb1", "lb2"]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("[[area]]\n", ":5: error: key 'area.0.name' is missing; add it"),
        (
            '[[source]]\nname = "Edge"\nkind = "hosts"\nfiles = ["h"]\n',
            "source 'edge' stands twice; names are used once",
        ),
        ('[[area]]\nname = "a.net"\n[[area]]\nname = "A.net"\n', "area 'a.net' stands twice"),
        ('[[area]]\nname = "a b"\n', ":6: error: area.0.name: "),
        ('[[area]]\nname = "a.net"\nanswer-to = ["10.0.0.1/8"]\n', "write '10.0.0.0/8'"),
        ('[[area]]\nname = "a.net"\nanswer-to = ["all"]\n', ":7: error: area.0.answer-to: "),
        ('[[area]]\nname = "a.net"\nanswer-to = ["0.0.0.0/0"]\n', "is everybody; to answer"),
        ('[[area]]\nname = "a.net"\nanswer-to = []\n', "no network is named"),
        ('[[area]]\nname = "a.net"\nnetworks = ["all"]\n', "'all' is no prefix"),
        ('[[area]]\nname = "a.net"\nnetworks = ["x"]\n', "'x' is no address, prefix"),
        ('[[area]]\nname = "a.net"\nkinds = ["vips"]\n', ":7: error: area.0.kinds.0: "),
        ('[[area]]\nname = "a.net"\nnetwork = []\n', "did you mean 'networks'?"),
        ('[[area]]\nname = "a.net"\ntime-to-live = 0\n', ":7: error: area.0.time-to-live: "),
        ('[[owner]]\norganization = "o"\n', "key 'owner.0.networks' is missing; add it"),
        ('[[owner]]\nnetworks = ["10.0.0.0/33"]\n', ":6: error: owner.0.networks: "),
        ('[[owner]]\nnetworks = ["10.0.0.0/8"]\nabuse = ["a"]\n', "did you mean 'abuse-contact'?"),
        ("[audit]\nreporting-v4 = 33\n", ":6: error: audit.reporting-v4: "),
        ('[audit]\nnetworks = ["10.0.0.1/8"]\n', "write '10.0.0.0/8'"),
    ],
)
def test_a_mistake_in_a_table(tmp_path: Path, more: str, told: str) -> None:
    (mistake,) = mistakes(tmp_path, SOURCE + more)
    assert told in mistake
    assert "Value error" not in mistake


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", ": error: has no [[source]]; add one with name, kind and files"),
        ("max-removals = 2\n" + SOURCE, ":1: error: max-removals: "),
        ("max-removals = -0.1\n" + SOURCE, ":1: error: max-removals: "),
        ("release-days = -1\n" + SOURCE, ":1: error: release-days: "),
        ("interval-seconds = 0\n" + SOURCE, ":1: error: interval-seconds: "),
        ("max_removals = 0.1\n" + SOURCE, "did you mean 'max-removals'?"),
        (SOURCE.replace("keepalived", "keepalive"), ":3: error: source.0.kind: 'keepalive' is no"),
        (SOURCE.replace("edge", "zone"), ":2: error: source.0.name: 'zone' cannot name a source"),
        (SOURCE.replace("edge", "Inventory"), "cannot name a source"),
        (SOURCE.replace("edge", ""), "cannot name a source"),
        (SOURCE.replace("edge", "a b"), "cannot name a source"),
        (SOURCE.replace('files = ["a.conf"]\n', ""), "source edge: has neither files nor settings"),
        (SOURCE + 'publish = ["vips"]\n', ":5: error: source.0.publish.0: "),
        (SOURCE + "max-age-hours = -1\n", ":5: error: source.0.max-age-hours: "),
        (SOURCE + "file = []\n", "did you mean 'files'?"),
        ("[[source]\n", ":1: error: is no TOML"),
    ],
)
def test_a_mistake_in_the_file(tmp_path: Path, text: str, told: str) -> None:
    (mistake,) = mistakes(tmp_path, text)
    assert told in mistake


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = "release-days = -1\nmax-removals = 7\n" + SOURCE.replace("keepalived", "x")
    assert sorted(m.partition(" ")[0] for m in mistakes(tmp_path, text)) == [":1:", ":2:", ":5:"]


def test_a_file_that_is_not_there_or_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"nowhere\.toml"):
        read_inventory(tmp_path / "nowhere.toml")
    with pytest.raises(FormatError, match=str(tmp_path)):
        read_inventory(tmp_path)
    (tmp_path / "latin").write_bytes(b"# \xe4\n")
    with pytest.raises(FormatError, match="is not UTF-8 at octet 2; save it as UTF-8"):
        read_inventory(tmp_path / "latin")


def test_paths_start_from_the_folder_and_a_pattern_must_find_something(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    for name in ("2.conf", "1.conf"):
        (tmp_path / "x" / name).write_text("")
    files = f'files = ["x/*.conf", "gone.conf", "{tmp_path}/x/1*", "/etc/rwhoisd-test/a"]'
    inventory = read_inventory(written(tmp_path, SOURCE.replace('files = ["a.conf"]', files)))
    found = inventory.files_of(inventory.table.source[0])
    assert found == [
        tmp_path / "x" / "1.conf",
        tmp_path / "x" / "2.conf",
        tmp_path / "gone.conf",
        tmp_path / "x" / "1.conf",
        Path("/etc/rwhoisd-test/a"),
    ]
    inventory = read_inventory(written(tmp_path, SOURCE.replace("a.conf", "nothing*")))
    with pytest.raises(FormatError, match=r"source edge: nothing\* finds no file"):
        inventory.files_of(inventory.table.source[0])


def test_an_audience_is_kept_canonically(tmp_path: Path) -> None:
    text = SOURCE + '[[area]]\nname = "a.net"\nanswer-to = ["FD00::/8", "10.0.0.0/8", "fd00::/8"]\n'
    (area,) = read_inventory(written(tmp_path, text)).table.area
    assert area.answer_to == ("fd00::/8", "10.0.0.0/8")
