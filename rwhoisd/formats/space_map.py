"""A map of address blocks as SVG: rows of cells, each an aligned part of the block.

A row has sixteen or thirty-two cells, so that blocks inside are rectangles: in a /24 a /28 is one
row. An object is one rectangle, or one for each row it touches; more specific ones lie on top.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final
from xml.sax.saxutils import escape

from rwhoisd.directory.names import ADDRESS_BITS, AddressRange, Network
from rwhoisd.directory.space import covered, size_of
from rwhoisd.formats.addressing import STATES, Block, Inner

# State → colour, and what the legend says. Light enough for dark text, apart in grey as well.
COLOURS: Final = {
    "free": ("#f1f3f5", "free"),
    "network": ("#8fbcdb", "more specific network"),
    "delegated": ("#c9b1dd", "delegated to another server"),
    "machine": ("#f2a65a", "host or virtual address"),
    "released": ("#e3cfa4", "released"),
}
_CELL_W, _CELL_H = 40, 22
_LABEL, _GAP, _HEAD, _MARGIN = 132, 28, 44, 20
_COLUMN_BITS, _ROW_BITS = 4, 4  # a panel has at most 2**4 columns and 2**4 rows
_SLIVER: Final = 4  # pixels
_FEW: Final = 4  # letters that are worth writing
_LETTER: Final = 6.6  # width of one at the size of labels
_INK, _LINE = "#1f2933", "#52606d"


def percent(share: float) -> str:
    """A share for people; what is nearly none or nearly all is not told as such."""
    if 0 < share < 0.001:
        return "<0.1%"
    if 0.999 < share < 1:
        return ">99.9%"
    return f"{share:.1%}"


def space_map(blocks: Sequence[Block]) -> str:
    """The SVG of blocks, one panel below the other, and a legend."""
    body: list[str] = []
    top = _MARGIN
    width = _MARGIN * 2 + _LABEL + (_CELL_W << _COLUMN_BITS)
    body += _legend(top)
    top += 44
    for block in blocks:
        panel = _Panel(block, top)
        body += panel.drawn()
        top += panel.height + _GAP
    if not blocks:
        body.append(_text(_MARGIN, top + 16, "no blocks"))
        top += 40
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{top}"'
        f' viewBox="0 0 {width} {top}" font-family="DejaVu Sans, Arial, sans-serif"'
        f' font-size="10" fill="{_INK}">'
    )
    ground = f'<rect width="{width}" height="{top}" fill="#ffffff"/>'
    title = "<title>Address space</title>"
    return "\n".join((head, title, ground, *body, "</svg>", ""))


def _legend(top: int) -> Iterator[str]:
    left = _MARGIN
    for colour, words in COLOURS.values():
        box = f'x="{left}" y="{top}" width="14" height="14"'
        yield f'<rect {box} fill="{colour}" stroke="{_LINE}"/>'
        yield _text(left + 20, top + 11, words)
        left += 34 + round(len(words) * _LETTER)


def _text(left: float, top: float, words: str, more: str = "") -> str:
    return f'<text x="{left:g}" y="{top:g}"{more}>{escape(words)}</text>'


class _Panel:
    """One block: a heading, and its cells."""

    def __init__(self, block: Block, top: int) -> None:
        self._block, self._top = block, top
        size = size_of(block.span)
        bits = max((size - 1).bit_length(), 0)
        self._columns = 1 << min(_COLUMN_BITS, bits)
        self._cell = 1 << max(bits - _COLUMN_BITS - _ROW_BITS, 0)  # addresses
        in_row = self._cell * self._columns
        self._in_row = in_row
        self._base = block.span.first // in_row * in_row
        self._rows = (block.span.last - self._base) // in_row + 1
        self._cell_w = (_CELL_W << _COLUMN_BITS) / self._columns

    @property
    def height(self) -> int:
        """In pixels, heading included."""
        return _HEAD + self._rows * _CELL_H

    def drawn(self) -> Iterator[str]:
        """The panel, what is on top last."""
        yield from self._heading()
        yield from self._ground()
        unit = self._cell * _SLIVER / self._cell_w  # addresses that are wide enough to outline
        wide = [one for one in self._block.inner if size_of(one.span) >= unit]
        narrow = [one for one in self._block.inner if size_of(one.span) < unit]
        wide.sort(key=lambda one: (STATES.index(one.state), one.span.first, -one.span.last))
        for one in wide:
            yield from self._shape(one)
        for state in STATES:
            yield from self._slivers(state, [one.span for one in narrow if one.state == state])
        yield from self._row_labels()
        yield from self._names(wide)

    def _heading(self) -> Iterator[str]:
        block, usage = self._block, self._block.usage
        name = f"{block.span}  {block.name}" if block.name != str(block.span) else block.name
        more = ' font-size="14" font-weight="bold"'
        yield _text(_MARGIN, self._top + 14, name, more)
        free = f", largest free block {usage.largest_free}" if usage.largest_free else ""
        one = Network(block.span.family, 0, _bits(block.span) - self._cell.bit_length() + 1)
        cell = "one address" if self._cell == 1 else f"a /{one.length}"
        words = f"{percent(usage.share)} full{free}; a cell is {cell}"
        yield _text(_MARGIN, self._top + 31, words, f' fill="{_LINE}"')

    def _ground(self) -> Iterator[str]:
        for x, y, w in self._runs(self._block.span):
            colour = COLOURS["free"][0]
            yield f'<rect x="{x:g}" y="{y}" width="{w:g}" height="{_CELL_H}" fill="{colour}"/>'
        top, bottom = self._top + _HEAD, self._top + self.height
        right = self._left(self._columns)
        grid = "".join(f"M{self._left(c):g} {top}V{bottom}" for c in range(self._columns + 1))
        rows = range(top, bottom + 1, _CELL_H)
        grid += "".join(f"M{self._left(0):g} {y}H{right:g}" for y in rows)
        yield f'<path d="{grid}" stroke="#ffffff" stroke-width="1.5"/>'

    def _shape(self, one: Inner) -> Iterator[str]:
        colour = COLOURS[one.state][0]
        tip = f"<title>{escape(f'{one.span} {one.name}')}</title>"
        for x, y, w, h in _stacked(self._runs(one.span)):
            inside = max(w - 1.5, 1.5)  # a row may hold only the end of a range
            box = f'x="{x + 0.75:g}" y="{y + 0.75:g}" width="{inside:g}" height="{h - 1.5:g}"'
            yield f'<rect {box} fill="{colour}" stroke="{_LINE}" stroke-width="0.75">{tip}</rect>'

    def _slivers(self, state: str, spans: Sequence[AddressRange]) -> Iterator[str]:
        """What is too narrow for an outline; what falls on one pixel is drawn once."""
        pixel = max(int(self._cell / self._cell_w), 1)
        family = self._block.span.family
        rough = {(s.first // pixel * pixel, s.last // pixel * pixel + pixel - 1) for s in spans}
        merged = covered(self._block.span, (AddressRange(family, *ends) for ends in rough))
        colour, words = COLOURS[state]
        for span in merged:
            for x, y, w in self._runs(span):
                box = f'x="{x:g}" y="{y}" width="{max(w, 2):g}" height="{_CELL_H}"'
                tip = f"<title>{escape(words)}</title>"
                yield f'<rect {box} fill="{colour}">{tip}</rect>'

    def _row_labels(self) -> Iterator[str]:
        right = _MARGIN + _LABEL - 8
        bits = _bits(self._block.span)
        for row in range(self._rows):
            first = max(self._base + row * self._in_row, self._block.span.first)
            words = str(Network(self._block.span.family, first, bits)).partition("/")[0]
            y = self._top + _HEAD + row * _CELL_H + 15
            yield _text(right, y, words, f' text-anchor="end" fill="{_LINE}"')

    def _names(self, inner: Iterable[Inner]) -> Iterator[str]:
        """The name of each object at its first row, where it fits and nothing lies on it."""
        taken: dict[int, list[tuple[float, float]]] = {}
        ordered = sorted(inner, key=lambda one: (size_of(one.span), one.span.first))
        for one in ordered:
            runs = list(self._runs(one.span))
            wide = len(one.name) * _LETTER + 8
            room = [(x, y, min(width, wide)) for x, y, width in runs]
            place = next((run for run in room if not _hit(run, taken)), None)
            for x, y, width in runs:
                taken.setdefault(y, []).append((x, width))
            letters = int((place[2] - 8) / _LETTER + 0.01) if place else 0
            if place is None or letters < _FEW:
                continue
            name = one.name
            words = name if len(name) <= letters else name[: letters - 1] + "…"
            yield _text(place[0] + 4, place[1] + 15, words)

    def _left(self, column: float) -> float:
        return _MARGIN + _LABEL + column * self._cell_w

    def _runs(self, span: AddressRange) -> Iterator[tuple[float, int, float]]:
        """The rectangles (left, top, width) of a span, one a row; what is less than a cell
        fills its share of it."""
        first = max(span.first, self._block.span.first)
        last = min(span.last, self._block.span.last)
        for row in range(
            (first - self._base) // self._in_row, (last - self._base) // self._in_row + 1
        ):
            begin = self._base + row * self._in_row
            one = max(first, begin) - begin
            other = min(last, begin + self._in_row - 1) - begin + 1
            x = self._left(one / self._cell)
            y = self._top + _HEAD + row * _CELL_H
            yield x, y, self._left(other / self._cell) - x


def _stacked(
    runs: Iterable[tuple[float, int, float]],
) -> Iterator[tuple[float, int, float, int]]:
    """Rectangles (left, top, width, height): runs of equal width in rows that follow are one."""
    held: tuple[float, int, float, int] | None = None
    for x, y, w in runs:
        if held and (held[0], held[1] + held[3], held[2]) == (x, y, w):
            held = (x, held[1], w, held[3] + _CELL_H)
            continue
        if held:
            yield held
        held = (x, y, w, _CELL_H)
    if held:
        yield held


def _hit(run: tuple[float, int, float], taken: Mapping[int, Sequence[tuple[float, float]]]) -> bool:
    """Whether something lies on a run; ``taken``: row → what begins where, how wide."""
    x, y, width = run
    return any(x < left + w and left < x + width for left, w in taken.get(y, ()))


def _bits(span: AddressRange) -> int:
    return ADDRESS_BITS[span.family]
