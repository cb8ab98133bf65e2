"""Reading by grammar.lark: what Lark makes of a line. Only ``parser`` asks for it.

It stands apart because loading Lark and building its tables takes longer than all else that a
start of the server does, and the lines that need it are few.
"""

from typing import Final

from lark import Lark, LarkError, Transformer, v_args

from rwhoisd.query.parser import Line, Piece


@v_args(inline=True)
class _Reading(Transformer[str, Line]):
    """Makes the grammar's rules into ``Line`` and ``Piece`` while Lark parses."""

    def start(self, head: str | None, *branches: tuple[Piece, ...]) -> Line:
        return Line(None if head is None else str(head), branches)

    def clause(self, *pieces: Piece) -> tuple[Piece, ...]:
        return pieces

    def equal(self, attribute: str, operand: Piece) -> Piece:
        return operand._replace(attribute=str(attribute))

    def unequal(self, attribute: str, operand: Piece) -> Piece:
        return operand._replace(attribute=str(attribute), negated=True)

    def word(self, token: str) -> Piece:
        return Piece(None, False, "word", str(token))

    def quoted(self, token: str) -> Piece:
        return Piece(None, False, "quoted", str(token))

    def below(self, token: str) -> Piece:
        return Piece(None, False, "below", str(token))


_GRAMMAR: Final = Lark.open("grammar.lark", rel_to=__file__, parser="lalr", transformer=_Reading())


def read(line: bytes) -> Line | None:
    """The words of any line in upper case, as grammar.lark has them; None when it has not."""
    try:
        found = _GRAMMAR.parse(line.decode("latin-1"))
    except LarkError:
        return None
    assert isinstance(found, Line)  # what the transformer makes of the start rule
    return found
