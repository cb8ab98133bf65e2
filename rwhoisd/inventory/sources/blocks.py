"""Files of statements and ``{ blocks }``: keepalived's, nginx's and their like.

A grammar says what differs between them: the marks of comments, and whether a statement ends
with a mark (``;``) or with its line. Words of templates (``${NAME}``, ``{{ name }}``,
``{% if %}``, ``<%= %>``) are kept as one word each and never open a block.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Final

from rwhoisd.inventory.facts import Place
from rwhoisd.inventory.source import TextFile

# Bounded, so that a line of nothing but braces takes no time.
_TEMPLATE: Final = (
    r"\$\{[^{}\n]{0,99}\}|\{\{[^{}\n]{0,199}\}\}|\{%[^\n]{0,199}?%\}|<%[^\n]{0,199}?%>"
)
_CONTROL: Final = ("{%", "{{", "<%")  # lines of a template, which have no end of their own


@dataclass(frozen=True)
class Grammar:
    """How a format writes its statements.

    ``marks_within_words``: a comment or a quote may begin in the middle of a word; else both
    begin only where a word would.
    """

    comments: str = "#"
    quotes: str = "\"'"
    terminator: str = ";"  # "\n": a statement ends with its line, and so does a quote
    marks_within_words: bool = False
    starts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """The words of a statement, without their quotes, and the statements of its block."""

    words: tuple[str, ...]
    place: Place
    body: tuple["Statement", ...] | None = None  # None: it has no block

    @property
    def keyword(self) -> str:
        """Its first word; "" for a block without words."""
        return self.words[0] if self.words else ""

    @property
    def values(self) -> tuple[str, ...]:
        """The words behind the first."""
        return self.words[1:]

    def word(self, number: int) -> str:
        """A word by its number from 0; "" when there are not so many."""
        return self.words[number] if number < len(self.words) else ""

    def each(self, keyword: str) -> Iterator["Statement"]:
        """The statements of its block that begin with a keyword."""
        return (one for one in self.body or () if one.keyword == keyword)


@dataclass(frozen=True)
class Tree:
    """What a file holds. ``unclosed``: blocks that are open at its end; ``stray``: needless
    ``}``; ``endless``: statements whose end is forgotten."""

    statements: tuple[Statement, ...]
    unclosed: tuple[Place, ...] = ()
    stray: tuple[Place, ...] = ()
    endless: tuple[Place, ...] = ()


@dataclass
class _Open:
    """A block that is being read; ``words`` are those of the statement under way."""

    line: int
    statements: list[Statement] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    words_line: int = 0


def tree_of(file: TextFile, grammar: Grammar) -> Tree:
    """The statements of a file, whatever it holds; in time linear to its length."""
    reader = _Reader(file, grammar)
    for kind, text in _tokens(file.text, grammar):
        reader.take(kind, text)
    return reader.finish()


def _tokens(text: str, grammar: Grammar) -> Iterator[tuple[str, str]]:
    for match in _pattern(grammar).finditer(text):
        yield match.lastgroup or "word", match[0]


@cache
def _pattern(grammar: Grammar) -> re.Pattern[str]:
    by_line = grammar.terminator == "\n"
    marks = re.escape(grammar.comments)
    end = "" if by_line else re.escape(grammar.terminator)
    stop = r"\n" if by_line else ""
    quoted = "|".join(
        rf"{quote}(?:\\.|[^{quote}\\{stop}])*+{quote}" for quote in map(re.escape, grammar.quotes)
    )
    inner = marks + re.escape(grammar.quotes) if grammar.marks_within_words else ""
    plain = rf"{_TEMPLATE}|\\[^\n]|[^\s{{}}\\{end}{inner}]"
    within = (
        rf"(?:{quoted}|{plain})++" if grammar.marks_within_words else rf"{quoted}|(?:{plain})++"
    )
    kinds = {
        "blank": r"[^\S\n]+|\\\n",
        "newline": r"\n",
        "comment": rf"[{marks}][^\n]*",
        "end": rf"[{end}]" if end else r"(?!)",
        "word": within,
        "open": r"\{",
        "close": r"\}",
        "rest": r"[^\n]",
    }
    return re.compile("|".join(f"(?P<{kind}>{form})" for kind, form in kinds.items()), re.DOTALL)


class _Reader:
    """Puts tokens together."""

    def __init__(self, file: TextFile, grammar: Grammar) -> None:
        self._file = file
        self._by_line = grammar.terminator == "\n"
        self._quotes = re.compile(rf"\\(.)|[{re.escape(grammar.quotes)}]", re.DOTALL)
        self._alone = grammar.quotes  # a quote that nothing closes is dropped
        self._starts = grammar.starts
        self._line = 1
        self._last_line = 0  # of the last word
        self._open = [_Open(0)]
        self._stray: list[Place] = []
        self._endless: list[Place] = []

    def take(self, kind: str, text: str) -> None:
        """One more token."""
        match kind:
            case "word":
                self._word(text)
            case "rest" if text not in self._alone:
                self._word(text)
            case "newline" if self._by_line:
                self._end()
            case "end":
                self._end()
            case "open":
                self._begin()
            case "close":
                self._close()
        self._line += text.count("\n")

    def _word(self, text: str) -> None:
        block = self._open[-1]
        if block.words and text in self._starts and self._last_line < self._line:
            if not block.words[0].startswith(_CONTROL):
                self._endless.append(self._file.at(block.words_line))
            self._end()
        self._last_line = self._line
        if not block.words:
            block.words_line = self._line
        block.words.append(self._quotes.sub(r"\1", text))

    def _end(self) -> None:
        block = self._open[-1]
        if block.words:
            place = self._file.at(block.words_line)
            block.statements.append(Statement(tuple(block.words), place))
            block.words.clear()

    def _begin(self) -> None:
        """A block opens; it belongs to the statement before it, on its line or the line before."""
        block = self._open[-1]
        self._end()
        last = block.statements[-1] if block.statements else None
        if last is None or last.body is not None:
            block.statements.append(Statement((), self._file.at(self._line)))
        self._open.append(_Open(self._line))

    def _close(self) -> None:
        self._end()
        if len(self._open) == 1:
            self._stray.append(self._file.at(self._line))
            return
        body = tuple(self._open.pop().statements)
        statements = self._open[-1].statements
        statements[-1] = replace(statements[-1], body=body)

    def finish(self) -> Tree:
        """The whole; blocks that are still open end here."""
        unclosed = tuple(self._file.at(block.line) for block in self._open[1:])
        while len(self._open) > 1:
            self._close()
        self._end()
        return Tree(
            tuple(self._open[0].statements), unclosed, tuple(self._stray), tuple(self._endless)
        )


def walk(statements: tuple[Statement, ...]) -> Iterator[Statement]:
    """Statements at any depth, an outer one before those in its block."""
    pending = list(reversed(statements))
    while pending:
        one = pending.pop()
        yield one
        pending += reversed(one.body or ())
