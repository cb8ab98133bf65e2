"""Secrets out of what people read: messages, logs and output show database URLs without them."""

import re
from typing import Final

MASK: Final = "***"
# USER:PASSWORD@ of a URL, up to its last "@" (a password may hold one that was not quoted), and
# options that drivers take a password from.
_USER: Final = re.compile(r"(://[^\s:/@'\"]*):[^\s'\"]*@")
_OPTION: Final = re.compile(r"(?i)\b((?:ssl)?pass(?:word|wd|phrase)?=)[^\s&'\"]+")


def masked(text: str) -> str:
    """``text`` with the password of every URL in it left out."""
    return _OPTION.sub(rf"\1{MASK}", _USER.sub(rf"\1:{MASK}@", text))


def has_secret(url: str) -> bool:
    """Whether a URL carries a password."""
    return masked(url) != url
