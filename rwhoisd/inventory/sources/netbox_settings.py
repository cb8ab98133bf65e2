"""What an operator may say of a NetBox: checked at once, every mistake with its mend."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

from rwhoisd.formats.arin_text import read_bytes
from rwhoisd.formats.findings import Finding, FormatError
from rwhoisd.inventory.facts import Place
from rwhoisd.inventory.source import Report

WHERE: Final = "settings of netbox-api"
_YES: Final = frozenset({"yes", "true", "on", "1", ""})
_NO: Final = frozenset({"no", "false", "off", "0"})
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_FILTER: Final = "filter-"
_KEYS: Final = frozenset(
    {
        "url", "token-file", "token-env", "verify", "timeout", "time-limit", "page-size",
        "requests-per-second", "proxy", "ca-file",
    }
)  # fmt: skip


@dataclass(frozen=True)
class ApiSettings:
    """Where NetBox is and how it is asked. ``token`` never appears when it is shown."""

    url: str  # without /api and the last slash
    token: str = field(repr=False)
    verify: bool | str = True  # or the file of CA certificates
    timeout: float = 30.0  # seconds, of one answer
    time_limit: float = 600.0  # seconds, of the whole reading
    page_size: int = 500
    requests_per_second: float = 20.0
    proxy: str = field(default="", repr=False)  # may hold a password
    filters: Mapping[str, Mapping[str, list[str]]] = field(default_factory=dict)


class _Mistakes:
    """Collects what is wrong, so that all of it is told at once."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def add(self, message: str) -> None:
        self.found.append(message)

    def check(self) -> None:
        """Raises: FormatError, when there is any."""
        if self.found:
            raise FormatError(Finding(WHERE, 0, message, "error") for message in self.found)


def settings_of(
    words: Mapping[str, str], report: Report, environment: Mapping[str, str] | None = None
) -> ApiSettings:
    """The settings in typed form. Raises: FormatError with every mistake."""
    mistakes = _Mistakes()
    for key in words:
        if key not in _KEYS and not key.startswith(_FILTER):
            mistakes.add(_unknown(key))
    url = _url(words.get("url", ""), mistakes, report)
    token = _token(words, os.environ if environment is None else environment, mistakes)
    filters = {
        key.removeprefix(_FILTER): _filter(key, value, mistakes)
        for key, value in words.items()
        if key.startswith(_FILTER)
    }
    made = ApiSettings(
        url=url,
        token=token,
        verify=_verify(words.get("ca-file") or words.get("verify", ""), mistakes, report),
        timeout=_number(words, "timeout", 30, 0.1, 600, mistakes),
        time_limit=_number(words, "time-limit", 600, 1, 86_400, mistakes),
        page_size=int(_number(words, "page-size", 500, 1, 10_000, mistakes)),
        requests_per_second=_number(words, "requests-per-second", 20, 0.01, 1000, mistakes),
        proxy=words.get("proxy", ""),
        filters=filters,
    )
    mistakes.check()
    return made


def _unknown(key: str) -> str:
    if key == "token":
        return "token is no setting: a secret is not kept here; use token-file or token-env"
    return f"{key!r} is unknown; known are {', '.join(sorted(_KEYS))} and filter-ENDPOINT"


def _url(written: str, mistakes: _Mistakes, report: Report) -> str:
    try:
        parts = urlsplit(written.strip())
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        mistakes.add("url cannot be read; write it as https://netbox.example.net")
        return ""
    if parts.scheme not in {"http", "https"} or not host:
        mistakes.add("url is missing or no web address; write it as https://netbox.example.net")
        return ""
    if parts.username or parts.password:
        mistakes.add("url holds a name or a password; take it out")
        return ""
    if parts.scheme == "http" and host not in _LOCAL:
        report.warn(Place(WHERE), "url is http: the token crosses the network unprotected")
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/').removesuffix('/api')}"


def _token(words: Mapping[str, str], environment: Mapping[str, str], mistakes: _Mistakes) -> str:
    name, file = words.get("token-env", ""), words.get("token-file", "")
    if bool(name) == bool(file):
        mistakes.add("needs either token-file or token-env")
        return ""
    if name:
        token = environment.get(name, "").strip()
        if not token:
            mistakes.add(f"token-env names {name!r}, which is not set or empty")
    else:
        token = _token_of(Path(file), mistakes)
    if token and not (token.isascii() and token.isprintable() and " " not in token):
        mistakes.add("the token is not one word; keep nothing but the token in its place")
        return ""
    return token


def _token_of(path: Path, mistakes: _Mistakes) -> str:
    try:
        token = read_bytes(path)[:4096].decode("utf-8", "replace").strip()
    except FormatError as error:
        mistakes.found += [f"token-file {finding.message}" for finding in error.findings]
        return ""
    if not token:
        mistakes.add(f"token-file {str(path)!r} is empty; write the token into it")
    return token


def _verify(written: str, mistakes: _Mistakes, report: Report) -> bool | str:
    folded = written.strip().lower()
    if folded in _YES:
        return True
    if folded in _NO:
        report.warn(Place(WHERE), "verify is off: whoever answers gets the token")
        return False
    if not Path(written).is_file():
        mistakes.add("verify is yes or no; ca-file (or verify) names a file of CA certificates")
    return written


def _number(
    words: Mapping[str, str], key: str, default: float, least: float, most: float,
    mistakes: _Mistakes,
) -> float:  # fmt: skip
    try:
        number = float(words.get(key) or default)
    except ValueError:
        number = -1
    if not least <= number <= most:
        mistakes.add(f"{key} is a number from {least:g} to {most:g}")
        return default
    return number


def _filter(key: str, written: str, mistakes: _Mistakes) -> dict[str, list[str]]:
    """``status=active&tenant=acme`` as NetBox's own URLs have it."""
    try:
        found = parse_qs(written.lstrip("?"), strict_parsing=True)
    except ValueError:
        found = {}
    if not found or {"limit", "offset"} & found.keys():
        mistakes.add(f"{key} is written as in NetBox's URLs: status=active&tenant=acme")
        return {}
    return found


Clock = Callable[[], float]
