"""TOML text into plain tables, whatever somebody wrote."""

import re
import tomllib
from typing import Any, Final

_DEEPEST: Final = 64
_DEEP_KEY: Final = re.compile(rf"(?<![\w'\"-])(?:[\w'\"-]++[ \t]*+\.[ \t]*+){{{_DEEPEST}}}")


def parse_toml(text: str) -> dict[str, Any]:
    """What a TOML text holds. Raises: TOMLDecodeError, for what is nested too deep as well.

    The library takes time by the square of the depth of a key, and runs out of stack in values.
    """
    if deep := _DEEP_KEY.search(text):
        line = text.count("\n", 0, deep.start()) + 1
        raise tomllib.TOMLDecodeError(f"more than {_DEEPEST} names with dots (at line {line})")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise tomllib.TOMLDecodeError("brackets are nested too deep") from None
