"""The phonetic code, rule by rule (arin-rwhoisd.md §8.5).

Each expectation of RULES and TEXTS is what ARIN's indexer wrote for the word.
"""

from collections.abc import Callable

import pytest

from rwhoisd.directory.phonetic import CODE_LETTERS, is_phonetic, phonetic_key

RULES: dict[str, dict[str, str]] = {
    "silent first letter": {
        "Knight": "NT",
        "Gnome": "NM",
        "Pneuma": "NM",
        "Aeon": "EN",
        "Wright": "RT",
        "Aear": "ER",
    },
    "WH and X at the start": {
        "Whale": "WL",
        "White": "WT",
        "Xerox": "SRK",
        "Xu": "S",
        "Xhosa": "XS",
    },
    "double letters count once, but C": {"Anna": "AN", "Miller": "MLR", "Accra": "AKKR"},
    "kept letters": {"Fjlmnr": "FJLMN", "Bomb": "BMB"},
    "a vowel only in front": {"Aurora": "ARR", "Ioue": "I", "Banana": "BNN"},
    "C": {
        "Science": "SNS",
        "Scyra": "SR",
        "Social": "SXL",
        "Ocean": "OSN",
        "Character": "XRKTR",
        "Christian": "KRSXN",
        "School": "SKL",
        "Chair": "XR",
        "Ache": "AX",
        "Cat": "KT",
    },
    "D": {"Edges": "EJS", "Dodger": "TJR", "Ada": "AT"},
    "G": {
        "Signed": "SNT",
        "Signal": "SKNL",
        "Giant": "JNT",
        "Biggest": "BKST",
        "Gold": "KLT",
        "Ghost": "KST",
    },
    "GH": {"Night": "NT", "Roughs": "RFS", "Boughs": "BS", "Daughter": "TTR", "Knights": "NTS"},
    "H": {"Haddad": "TT", "Ahab": "AHB", "Ahmed": "AMT", "Cohen": "KHN", "Thomas": "OMS"},
    "K": {"Ackers": "AKRS", "Kite": "KT"},
    "P": {"Philip": "FLP", "Opal": "OPL"},
    "Q, V, Z": {"Quist": "KST", "Vera": "FR", "Zoe": "S"},
    "S": {"Shawl": "XL", "Vision": "FXN", "Asia": "AX", "Sven": "SFN"},
    "T": {"Nation": "NXN", "Tiara": "XR", "Pitches": "PXS", "Bath": "BO", "Tot": "TT"},
    "W and Y before a vowel": {"Yara": "YR", "Wyss": "S", "Bowen": "BWN", "Bowden": "BTN"},
    "X inside copies the next letter": {
        "Maxim": "MKIM",
        "Example": "EKAMP",
        "Box": "BK",
        "Axxo": "AKX",
        "Axffo": "AKF",
    },
    "five letters of each word": {
        "Abrahamsen": "ABRHM",
        "Registration Department": "RJSTR TPRTM",
    },
}
CASES = [(rule, word, key) for rule, words in RULES.items() for word, key in words.items()]


@pytest.mark.parametrize(("rule", "word", "key"), CASES, ids=[f"{r}-{w}" for r, w, _ in CASES])
def test_rule(rule: str, word: str, key: str) -> None:
    assert phonetic_key(word) == key


TEXTS = {
    "Smith, John": "SMO JN",
    "O'Brien": "O BRN",
    "x1ya2b": "S Y B",
    "tab\tel": "TB EL",
    "  two   blanks": "TW BLNKS",
    "a comunikations inkwell": "A KMNKX INKWL",
    "Vada He Elm": "FT  ELM",  # a word without code leaves its blank
    "Ho Elm Ho": "ELM",  # but not at the ends
    "123": "",
    "...": "",
    "": "",
    "café noir": "KF NR",  # a letter beyond ASCII divides
    "groß ſix": "KR IK",  # whatever Unicode makes of it in upper case
}


@pytest.mark.parametrize(("text", "key"), TEXTS.items(), ids=[repr(t) for t in TEXTS])
def test_key_of_a_text(text: str, key: str) -> None:
    assert phonetic_key(text) == key


@pytest.mark.parametrize(
    "pair", [("a comunikations", "A Communications"), ("Fitsjerald", "Fitzgerald")]
)
def test_what_sounds_alike_has_one_key(pair: tuple[str, str]) -> None:
    assert phonetic_key(pair[0]) == phonetic_key(pair[1])


@pytest.mark.parametrize("case", [str.upper, str.lower, str.title], ids=["upper", "lower", "title"])
def test_case_does_not_count(case: Callable[[str], str]) -> None:
    assert phonetic_key(case("granite systems")) == "KRNT SSTMS"


def test_every_letter_alone_and_in_pairs_has_a_code_of_letters() -> None:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    for word in [a + b + c for a in letters for b in letters for c in letters]:
        key = phonetic_key(word)
        assert len(key) <= CODE_LETTERS
        assert not key or key.isalpha()


@pytest.mark.parametrize(
    ("text", "phonetic"),
    [
        ("Rossi", True),
        ("two words", True),
        ("a\tb", True),
        ("petr0v", False),
        ("O'Brien", False),
        ("caf\xe9", False),
        ("", False),
        ("  ", False),
        ("Rossi\n", False),
    ],
)
def test_only_letters_and_blanks_are_looked_up_by_sound(text: str, phonetic: bool) -> None:
    assert is_phonetic(text) is phonetic


class TestEndOfAWordIsAConsonant:
    """B42: ARIN's program reads what happens to lie behind the word; here it is settled."""

    @pytest.mark.parametrize(
        ("word", "key"),
        [
            ("Inc", "INK"),
            ("Public", "PBLK"),
            ("Noc", "NK"),
            ("Dodg", "TTK"),
            ("Bag", "BK"),
            ("Bagg", "BK"),
            ("Rough", "RF"),
            ("High", ""),
            ("Rosy", "RS"),
            ("Law", "L"),
            ("Sarah", "SR"),
            ("Ach", "AX"),
            ("Ch", "K"),
            ("Signe", "SKN"),
        ],
    )
    def test_code(self, word: str, key: str) -> None:
        assert phonetic_key(word) == key

    def test_rosy_finds_rossi(self) -> None:
        assert phonetic_key("rosy") == phonetic_key("Rossi")
