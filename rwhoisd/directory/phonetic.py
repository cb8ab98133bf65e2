"""The phonetic code of a text: what it sounds like, in a few letters (arin-rwhoisd.md §8.5).

ARIN's variant of Metaphone (as printed in C Gazette, 1991). What ARIN's server reads from memory
behind the end of a word is settled here: the end counts as a consonant (B42).
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

CODE_LETTERS: Final = 5  # of one word

_PHONETIC: Final = re.compile(r"[A-Za-z \t]*[A-Za-z][A-Za-z \t]*\Z")
_WORDS: Final = re.compile(r"[A-Za-z]+")
# What stands around a word, as far as a rule looks (four letters back, three ahead). Both are no
# vowels, and so consonants.
_BEFORE: Final = "<<<<"
_BEHIND: Final = ">>>"

_VOWELS: Final = frozenset("AEIOU")
_FRONT: Final = frozenset("EIY")  # vowels that soften C, D and G before them
_SILENT_START: Final = ("AE", "GN", "KN", "PN", "WR")  # their first letter is not spoken
_NO_GHF: Final = frozenset("BDH<")  # GH after "B", "D", "H" and a letter is silent: bough


def is_phonetic(text: str) -> bool:
    """Whether ``text`` can be looked up by sound: letters and blanks only, and a letter at all."""
    return _PHONETIC.match(text) is not None


def phonetic_key(text: str) -> str:
    """The codes of the words of ``text``, joined by one blank; "" when nothing codes.

    Whatever is no ASCII letter divides words. Two texts sound alike when their keys are equal.
    A word without code (Ho) in the middle leaves its blank, as in ARIN's index.
    """
    return " ".join([_code(word.upper()) for word in _WORDS.findall(text)]).strip(" ")


@lru_cache(maxsize=4096)
def _code(word: str) -> str:
    """The code of one word in upper case, five letters at most."""
    if word.startswith(_SILENT_START):
        word = word[1:]
    elif word.startswith("WH"):
        word = "W" + word[2:]
    elif word.startswith("X"):
        word = "S" + word[1:]
    padded = _BEFORE + word + _BEHIND
    at, end = len(_BEFORE), len(_BEFORE) + len(word)
    code = ""
    while at < end and len(code) < CODE_LETTERS:
        added = _letter(padded, at)
        code += added
        at += 1 if len(added) < 2 else 2  # "X" has spoken for the letter behind it
    return code[:CODE_LETTERS]


def _letter(word: str, at: int) -> str:
    """What the letter at ``at`` adds: nothing, or a letter."""
    letter = word[at]
    if letter == word[at - 1] and letter != "C":
        return ""
    rule = _RULES[letter]
    return rule if isinstance(rule, str) else rule(word, at)


def _vowel(word: str, at: int) -> str:
    return word[at] if at == len(_BEFORE) else ""


def _c(word: str, at: int) -> str:
    if word[at + 1] in _FRONT:
        if word[at - 1] == "S":
            return ""  # science
        return "X" if word[at + 1 : at + 3] == "IA" else "S"  # social, ocean
    if word[at + 1] != "H":
        return "K"
    initial = at == len(_BEFORE) and word[at + 2] not in _VOWELS
    return "K" if initial or word[at - 1] == "S" else "X"  # Christian, school; chair


def _d(word: str, at: int) -> str:
    return "J" if word[at + 1] == "G" and word[at + 2] in _FRONT else "T"  # edge


def _g(word: str, at: int) -> str:
    if word[at + 1] == "H" and word[at + 2] not in _VOWELS:
        rough = word[at - 3] not in _NO_GHF and word[at - 4] != "H"
        return "F" if rough else ""  # rough; night, bough
    if word.startswith("GNED", at):
        return ""  # signed
    if word[at + 1] in _FRONT:
        if word[at - 1] == "D":
            return ""  # edge: "D" has said it
        return "K" if word[at + 2] == "G" else "J"
    return "K"


def _h(word: str, at: int) -> str:
    if word[at - 1] in "CGPST<":  # at the start, too: Hana and Ana differ by their vowel only
        return ""
    return "" if word[at - 1] in _VOWELS and word[at + 1] not in _VOWELS else "H"


def _k(word: str, at: int) -> str:
    return "" if word[at - 1] == "C" else "K"


def _p(word: str, at: int) -> str:
    return "F" if word[at + 1] == "H" else "P"


def _s(word: str, at: int) -> str:
    hushed = word[at + 1] == "H" or word[at + 1 : at + 3] in ("IO", "IA")
    return "X" if hushed else "S"


def _t(word: str, at: int) -> str:
    if word[at + 1 : at + 3] in ("IO", "IA"):
        return "X"
    if word[at + 1] == "H":
        return "O"
    return "" if word.startswith("TCH", at) else "T"


def _glide(word: str, at: int) -> str:
    return word[at] if word[at + 1] in _VOWELS else ""


def _x(word: str, at: int) -> str:
    # ARIN's slip is kept: the letter behind is copied, and passed, where the usual code has "S"
    return ("K" + word[at + 1]).rstrip(_BEHIND)


_Rule = Callable[[str, int], str]

_RULES: Final[dict[str, str | _Rule]] = {
    **dict.fromkeys("AEIOU", _vowel),
    **{letter: letter for letter in "BFJLMNR"},
    "C": _c,
    "D": _d,
    "G": _g,
    "H": _h,
    "K": _k,
    "P": _p,
    "Q": "K",
    "S": _s,
    "T": _t,
    "V": "F",
    "W": _glide,
    "X": _x,
    "Y": _glide,
    "Z": "S",
}
