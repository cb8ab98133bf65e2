"""Inputs that were never seen, made of those that were: by lines, by words and by octets."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from fuzz.inputs import join, split

MOST_OCTETS: Final = 1 << 15
_STEPS: Final = 5
_STRANGE: Final = (
    *(b"\0", b"\xff", b"\xc3\xa9", b"\t", b" ", b"\n", b"*", b'"', b"'", b"\\", b"%", b""),
    *(
        b"{",
        b"]",
        b"[",
        b"(",
        b"<a>",
        b"a.",
        b"1:",
        b"- ",
        b"a = [",
        b'{"a":',
        b"&a;",
        b"1-",
        b"../",
    ),
)
_NUMBERS: Final = (b"0", b"-1", b"33", b"4294967296", b"99999999999999999999", b"1e999", b"0x0")


def mutated(data: bytes, pool: Sequence[bytes], random: Random) -> bytes:
    """Another input after a few changes; ``pool`` has others to take pieces of."""
    words, body = split(data)
    if random.random() < 0.1:
        words = split(random.choice(pool))[0]
    if random.random() < 0.05:
        words = [*words, f"x{random.choice((2, 30, 3000))}"]
    for _ in range(random.randint(1, _STEPS)):
        body = random.choice(_CHANGES)(body, pool, random)
    return join(words, body)[:MOST_OCTETS]


def _lines(body: bytes, pool: Sequence[bytes], random: Random) -> bytes:
    """Lines are lost, doubled, swapped, or come from elsewhere."""
    lines = body.split(b"\n")
    at, other = random.randrange(len(lines)), random.randrange(len(lines))
    match random.randrange(4):
        case 0:
            del lines[at:other]
        case 1:
            lines[other:other] = lines[at : at + random.randint(1, 8)]
        case 2:
            lines[at], lines[other] = lines[other], lines[at]
        case _:
            lines.insert(at, random.choice(random.choice(pool).split(b"\n")))
    return b"\n".join(lines)


def _words(body: bytes, pool: Sequence[bytes], random: Random) -> bytes:
    """A word becomes another, a number, something strange, or very long."""
    words = body.split(b" ")
    at = random.randrange(len(words))
    match random.randrange(4):
        case 0:
            words[at] = random.choice(random.choice(pool).split() or [b""])
        case 1:
            words[at] = random.choice(_NUMBERS)
        case 2:
            words[at] = words[at] * random.choice((2, 9, 300)) if len(words[at]) < 50 else b""
        case _:
            words[at] += random.choice(_STRANGE)
    return b" ".join(words)


def _octets(body: bytes, pool: Sequence[bytes], random: Random) -> bytes:
    """Some octets are others, gone, or new; or the end is missing."""
    del pool
    at = random.randint(0, len(body))
    end = min(len(body), at + random.choice((0, 1, 1, 2, 4, 40)))
    match random.randrange(4):
        case 0:
            return body[:at] + random.randbytes(end - at) + body[end:]
        case 1:
            return (
                body[:at]
                + random.choice(_STRANGE) * random.choice((1, 1, 3, 400, 5000))
                + body[at:]
            )
        case 2:
            return body[:at] + body[end:]
        case _:
            return body[:at]


def _others(body: bytes, pool: Sequence[bytes], random: Random) -> bytes:
    """It goes on as another one."""
    _, other = split(random.choice(pool))
    at, since = random.randint(0, len(body)), random.randint(0, len(other))
    return body[:at] + other[since : since + random.randint(0, 500)] + body[at:]


_Change = Callable[[bytes, Sequence[bytes], Random], bytes]
_CHANGES: Final[tuple[_Change, ...]] = (_lines, _lines, _words, _words, _octets, _others)
