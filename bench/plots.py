"""Pictures of a run, as SVG: rates and latencies against clients, the price against objects."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from bench.stats import ARIN, ECHO, OURS, Sample

CLIENTS: Final = "performance-clients.svg"
OBJECTS: Final = "performance-objects.svg"
_COLOURS: Final = {OURS: "#0b6e4f", ECHO: "#8d99ae", ARIN: "#c1121f"}
_LATENCIES: Final[Sequence[tuple[str, str, Callable[[Sample], float]]]] = (
    ("p50", "-", lambda s: s.p50_us),
    ("p99", ":", lambda s: s.p99_us),
)
_KIND_STYLES: Final = {"name": "-", "addr": "--", "wild": ":"}
Line = list[tuple[float, float]]


def write(folder: Path, samples: Sequence[Sample]) -> list[str]:
    """Write what can be drawn into ``folder``; the names of the files."""
    written = []
    for name, figure in ((CLIENTS, _clients(samples)), (OBJECTS, _objects(samples))):
        if figure is not None:
            # The same run gives the same bytes: no date, and the same names of the parts.
            with mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
                figure.savefig(folder / name, metadata={"Date": None, "Creator": None})
            written.append(name)
    return written


def line(samples: Iterable[Sample], across: str, figure: Callable[[Sample], float]) -> Line:
    """The medians of a figure by the field ``across``, in its order."""
    found: dict[int, list[float]] = {}
    for sample in samples:
        found.setdefault(getattr(sample, across), []).append(figure(sample))
    return [(place, median(values)) for place, values in sorted(found.items())]


def _clients(samples: Sequence[Sample]) -> Figure | None:
    """Rate and latency against clients; None when there was one number of clients only."""
    most = max((s.objects for s in samples), default=0)
    chosen = [s for s in samples if s.objects == most and s.kind == "name"]
    patterns = [
        pattern
        for pattern in dict.fromkeys(s.pattern for s in chosen)
        if len({s.connections for s in chosen if s.pattern == pattern}) > 1
    ]
    if not patterns:
        return None
    figure = Figure(figsize=(9, 3.4 * len(patterns)), layout="constrained")
    axes = figure.subplots(len(patterns), 2, squeeze=False)
    for (rate, latency), pattern in zip(axes, patterns, strict=True):
        for server, colour in _COLOURS.items():
            mine = [s for s in chosen if (s.server, s.pattern) == (server, pattern)]
            _draw(rate, line(mine, "connections", lambda s: s.answers_per_s), colour, "-", server)
            for text, style, of in _LATENCIES:
                points = line(mine, "connections", of)
                _draw(latency, points, colour, style, f"{server} {text}")
        _label(rate, f"{pattern}, name, {most} objects", "clients", "answers per second")
        _label(latency, f"{pattern}, name, {most} objects", "clients", "µs")
    return figure


def _objects(samples: Sequence[Sample]) -> Figure | None:
    """CPU of an answer against objects; None when there was one number of objects only."""
    clients = samples[0].connections if samples else 0
    chosen = [s for s in samples if s.server == OURS and s.connections == clients]
    if len({s.objects for s in chosen}) < 2:
        return None
    patterns = list(dict.fromkeys(s.pattern for s in chosen))
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    (axes,) = figure.subplots(1, len(patterns), squeeze=False)
    for place, pattern in zip(axes, patterns, strict=True):
        for kind, style in _KIND_STYLES.items():
            mine = [s for s in chosen if (s.pattern, s.kind) == (pattern, kind)]
            points = line(mine, "objects", lambda s: s.server_us_per_answer)
            _draw(place, points, _COLOURS[OURS], style, kind)
        _label(place, pattern, "objects", "server CPU per answer, µs")
        place.set_yscale("linear")
        place.set_ylim(bottom=0)
    return figure


def _draw(axes: Axes, points: Line, colour: str, style: str, label: str) -> None:
    if points:
        across, up = zip(*points, strict=True)
        axes.plot(across, up, color=colour, linestyle=style, marker="o", markersize=3, label=label)


def _label(axes: Axes, title: str, across: str, up: str) -> None:
    axes.set(title=title, xlabel=across, ylabel=up, xscale="log", yscale="log")
    places = sorted({x for drawn in axes.get_lines() for x in drawn.get_xdata()})
    axes.set_xticks(places, [f"{x:g}" if x < 10_000 else f"{x:.0e}" for x in places])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(visible=True, which="both", alpha=0.25)
    axes.legend(fontsize="small")
