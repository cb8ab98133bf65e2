"""Objects rendered by the batch come out as those that are rendered one by one."""

import asyncio
from collections.abc import Sequence
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from rwhoisd.directory.changes import Bodies
from rwhoisd.directory.objects import Object
from rwhoisd.image import keys
from rwhoisd.image.batches import BatchRenderer
from rwhoisd.image.rendering import ClassRenderer
from rwhoisd.image.scopes import Pair, Scopes
from rwhoisd.testing.memory_source import MemorySource
from tests.property.test_image import AREAS, objects, values

SCOPES = Scopes(AREAS)
FIRST = 7  # the number of the first record


@st.composite
def batches(draw: st.DrawFn) -> list[Object]:
    """Objects of one class, many of them of a few shapes."""
    first = draw(objects())
    models = [first, *draw(st.lists(objects(), max_size=2))]
    pool = draw(st.lists(values, min_size=1, max_size=5))
    random = Random(draw(st.integers(0, 999)))
    found = []
    for model in models:
        for _ in range(random.randint(1, 8)):
            lines = tuple((name, random.choice(pool)) for name, _ in model.lines)
            obj = Object(first.area, first.class_name, lines, indexed=random.random() < 0.8)
            found.append(obj)
    random.shuffle(found)
    return [first, *found]


async def columns(found: Sequence[Object]) -> Bodies:
    source = MemorySource(*AREAS)
    for obj in found:
        source.add(obj)
    (batch,) = [some async for some in source.bodies(found[0].area)]
    return batch


def pair_of(obj: Object) -> Pair:
    number = next(i for i, area in enumerate(AREAS) if area.name.text == obj.area)
    pair = SCOPES.pair(number, obj.class_name)
    assert pair is not None
    return pair


@given(found=batches(), again=st.booleans(), eol=st.sampled_from([b"\n", b"\r\n"]))
def test_a_batch_is_what_its_objects_are_one_by_one(
    found: list[Object], again: bool, eol: bytes
) -> None:
    renderer = ClassRenderer(pair_of(found[0]), eol)
    batch = asyncio.run(columns(found))
    together = BatchRenderer(renderer)
    rendered = together.render(batch, FIRST)
    if again:  # now it knows the shape of most
        rendered = together.render(batch, FIRST)
    single = [renderer.render(obj) for obj in found]
    assert rendered.public == b"".join(s.public for s in single)
    assert rendered.lengths == [len(s.public) for s in single]
    assert rendered.flags == [s.flags for s in single]
    numbered = list(enumerate(single, FIRST))
    assert sorted(rendered.full) == [(n, s.full) for n, s in numbered if s.full is not None]
    assert sorted(rendered.raw) == [(n, s.raw) for n, s in numbered if s.raw is not None]
    items, links = [], []
    for number, obj in enumerate(found, FIRST):
        row = batch.rows[number - FIRST]
        items += [keys.Item(k, s, obj.order, row, number).packed for k, s in renderer.keys(obj)]
        entry = keys.LISTED.pack(0, obj.order, row, number)
        links += [(place, entry) for place in renderer.links(obj)]
    assert sorted(rendered.items) == sorted(items)
    assert sorted(rendered.links, key=str) == sorted(links, key=str)
