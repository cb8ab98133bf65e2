"""Line assembly: cuts, refusals, control characters, blanks."""

import pytest

from rwhoisd.protocol.lines import LineBuffer, LineRefusedError, LineRules


def lines_of(buffer: LineBuffer, *parts: bytes) -> list[bytes | str]:
    """Every line after feeding ``parts`` and the end of input; refusals by their reason."""
    found: list[bytes | str] = []
    for part in parts:
        buffer.feed(part)
        while (line := attempt(buffer)) is not None:
            found.append(line)
    if (line := attempt(buffer, last=True)) is not None:
        found.append(line)
    return found


def attempt(buffer: LineBuffer, *, last: bool = False) -> bytes | str | None:
    try:
        return buffer.last_line() if last else buffer.next_line()
    except LineRefusedError as refusal:
        return str(refusal)


def arin() -> LineBuffer:
    return LineBuffer(LineRules(511, cut=True, nul_ends=True))


def rfc(octets: int = 16) -> LineBuffer:
    return LineBuffer(LineRules(octets, cut=False, nul_ends=False))


@pytest.mark.parametrize(
    ("wire", "lines"),
    [
        pytest.param(b"john\r\n", [b"john"], id="crlf"),
        pytest.param(b"john\n", [b"john"], id="lf"),
        pytest.param(b"john", [b"john"], id="unterminated"),
        pytest.param(b"\r\n\n", [b"", b""], id="empty"),
        pytest.param(b"john\rjane\n", [b"johnjane"], id="cr-in-the-middle"),
        pytest.param(b"jo\x01hn\x7f\n", [b"john"], id="controls"),
        pytest.param(b"\t john \t\n", [b"john"], id="outer-blanks"),
        pytest.param(b"a\tb\n", [b"a\tb"], id="tab-stays"),
        pytest.param(b"\xff\xe9\xa0\x85\n", [b"\xff\xe9\xa0\x85"], id="8-bit"),
        pytest.param(b"noc\0junk\nx\n", [b"noc", b"x"], id="nul-ends"),
        pytest.param(b"x" * 600 + b"\r\n", [b"x" * 511, b"x" * 89], id="cut"),
        pytest.param(b"x" * 511 + b"\n", [b"x" * 511, b""], id="exactly-511"),
        pytest.param(b"x" * 510 + b"\n", [b"x" * 510], id="510"),
        pytest.param(b"x" * 1022 + b"y", [b"x" * 511, b"x" * 511, b"y"], id="cut-at-eof"),
    ],
)
def test_lines_of_arin_mode(wire: bytes, lines: list[bytes]) -> None:
    assert lines_of(arin(), wire) == lines
    assert lines_of(arin(), *(wire[i : i + 1] for i in range(len(wire)))) == lines


TOO_LONG = "line longer than 16 octets"


@pytest.mark.parametrize(
    ("wire", "lines"),
    [
        pytest.param(b"x" * 16 + b"\r\n", [b"x" * 16], id="longest"),
        pytest.param(b"x" * 18 + b"\r\njohn\n", [TOO_LONG, b"", b"john"], id="refused-once"),
        pytest.param(b"x" * 99, [TOO_LONG], id="refused-at-eof"),
        pytest.param(b"a\0b\njohn\n", ["NUL in line", b"john"], id="nul"),
        pytest.param(b"a\0b", ["NUL in line"], id="nul-at-eof"),
    ],
)
def test_lines_of_rfc_mode(wire: bytes, lines: list[bytes | str]) -> None:
    assert lines_of(rfc(), wire) == lines
    assert lines_of(rfc(), *(wire[i : i + 1] for i in range(len(wire)))) == lines


def test_a_refused_line_is_not_kept() -> None:
    buffer = rfc()
    buffer.feed(b"x" * 20)
    with pytest.raises(LineRefusedError) as refusal:
        buffer.next_line()
    assert refusal.value.head == b"x" * 16
    for _ in range(100):
        buffer.feed(b"x" * 1000)
        assert buffer.next_line() is None
    assert buffer.pending == 0
