"""The data generator of bench/: the same bytes each time, and as many objects as asked for."""

import random
from itertools import islice
from pathlib import Path

import pytest

from bench import datasets, generate
from rwhoisd.directory.names import Network


def _files(root: Path) -> dict[str, bytes]:
    found = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in found}


def _records(path: Path) -> list[dict[str, str]]:
    blocks = path.read_text(encoding="ascii").split("---\n")
    return [dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks]


@pytest.mark.parametrize("count", [1, 3, 20, 21, 1000, 20_001], ids=str)
def test_counts(tmp_path: Path, count: int) -> None:
    generate.write_installation(tmp_path, count, 4321)
    networks = _records(generate.data_file(tmp_path, "network"))
    contacts = _records(generate.data_file(tmp_path, "contact"))
    assert len(networks) == count
    assert len({record["ID"] for record in networks}) == count
    assert all(len(record) == 14 for record in networks)
    assert {record["Tech-Contact"] for record in networks} == {record["ID"] for record in contacts}
    assert len(contacts) == generate.contact_count(count)


def test_same_count_gives_same_bytes(tmp_path: Path) -> None:
    root = tmp_path / "root"
    seen = []
    for number in range(2):
        random.seed(number)  # the generator does not look at the global random state
        generate.write_installation(root, 500, 4321)
        generate.write_queries(root / "queries", 500)
        seen.append(_files(root))
    assert seen[0] == seen[1]


def test_most_networks_is_what_fits() -> None:
    with pytest.raises(ValueError, match=str(generate.MOST_NETWORKS)):
        generate.blocks(generate.MOST_NETWORKS + 1)
    with pytest.raises(ValueError, match="fit into"):
        generate.blocks(0)


def test_ten_million_fit_with_single_addresses() -> None:
    count = 10_000_000
    assert count < generate.MOST_NETWORKS
    first = list(islice(generate.blocks(count), 165))
    assert [n.length for n in first[:4]] == [8, 16, 24, 32]
    assert [(n.c, n.d, n.length) for n in first[-3:]] == [(0, 159, 32), (1, 0, 24), (1, 0, 32)]
    assert len({(n.b, n.c, n.d, n.length) for n in first}) == len(first)


def test_networks_nest_and_come_in_address_order() -> None:
    networks = [
        Network.from_text(f"10.{n.b}.{n.c}.{n.d}/{n.length}") for n in generate.blocks(5000)
    ]
    real = [network for network in networks if network]
    assert len(real) == len(networks)
    places = [(network.start, network.length) for network in real]
    assert places == sorted(set(places))
    by_length = {length: [n for n in real if n.length == length] for length in (8, 16, 24, 29)}
    assert sum(map(len, by_length.values())) == 5000
    for inner, outer in ((16, 8), (24, 16), (29, 24)):
        holders = set(by_length[outer])
        assert all(network.shorten(outer) in holders for network in by_length[inner])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("name", 1000), ("addr", 935), ("wild", 50), ("hot", 1)],
    ids=["name", "addr", "wild", "hot"],
)
def test_queries_are_all_different(kind: str, expected: int) -> None:
    lines = generate.queries(kind, 1000)
    assert len(lines) == len(set(lines)) == expected


def test_order_of_queries_follows_the_seed() -> None:
    one, again, other = (generate.queries("name", 300, seed) for seed in (1, 1, 2))
    assert one == again
    assert one != other
    assert sorted(one) == sorted(other)


def test_each_address_lies_in_one_small_network() -> None:
    small = {
        Network.from_text(f"10.{n.b}.{n.c}.{n.d}/29")
        for n in generate.blocks(2000)
        if n.length == 29
    }
    addresses = [Network.from_text(line.split()[1]) for line in generate.queries("addr", 2000)]
    assert {a.shorten(29) for a in addresses if a} == small
    assert len(addresses) == len(small)


def test_prefix_matches_as_many_names_as_expected() -> None:
    names = [generate.network_name(i) for i in range(1000)]
    for line in generate.queries("wild", 1000):
        prefix = line.removeprefix("network ").removesuffix("*")
        found = sum(name.startswith(prefix) for name in names)
        assert found == datasets.EXPECTED["wild"](1000) == generate.PER_CONTACT


def test_dataset_is_made_once_and_anew_after_damage(tmp_path: Path) -> None:
    dataset = datasets.prepare(tmp_path, 50)
    stamp = dataset.folder / "stamp"
    marker = dataset.root / "marker"
    marker.touch()
    assert datasets.prepare(tmp_path, 50) == dataset
    assert marker.exists()
    stamp.write_text("made by another generator", encoding="ascii")
    datasets.prepare(tmp_path, 50)
    assert not marker.exists()


def test_arin_copy_shares_the_data_and_has_its_own_root(tmp_path: Path) -> None:
    dataset = datasets.prepare(tmp_path, 50)
    root = datasets.prepare_for_arin(dataset)
    ours, theirs = (generate.data_file(r, "network") for r in (dataset.root, root))
    assert theirs.samefile(ours)
    assert f"root-dir: {root}\n" in (root / "rwhoisd.conf").read_text(encoding="ascii")
