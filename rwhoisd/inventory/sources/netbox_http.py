"""The HTTP session of the NetBox API: GET only, one server only, bounded in time and size.

A redirect or a ``next`` page at another server finds no adapter, so the token never leaves.
"""

import io
import time
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from rwhoisd.inventory.sources.netbox_settings import ApiSettings, Clock

ANSWER_OCTETS: Final = 64 << 20
RETRIES: Final = 3
_LATER: Final = frozenset({429, 502, 503, 504})  # worth asking once more
_WAIT_SECONDS: Final = 2.0  # between tries, when the server does not say
_CHUNK: Final = 1 << 16


class Stopped(Exception):  # noqa: N818
    """Our own limits ended the reading; the text says which."""


class ReadOnlyAdapter(HTTPAdapter):
    """Sends what only reads, within the limits."""

    def __init__(
        self,
        settings: ApiSettings,
        clock: Clock,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(max_retries=0)
        self._settings = settings
        self._clock = clock
        self._sleep = sleep
        self._end = clock() + settings.time_limit
        self._next = clock()

    def send(  # type: ignore[override]
        self, request: requests.PreparedRequest, **options: Any
    ) -> requests.Response:
        """The whole answer. Raises: Stopped; what requests raises."""
        if request.method != "GET":
            raise Stopped("nothing but GET is ever sent")
        options |= {"timeout": self._settings.timeout, "stream": True}
        for left in range(RETRIES, -1, -1):
            self._wait_turn()
            response = super().send(request, **options)
            body = self._body(response)
            if response.status_code not in _LATER or not left:
                break
            self._pause(_seconds(response.headers))
        return _read(response, body)

    def _wait_turn(self) -> None:
        """Keeps to the rate."""
        now = self._clock()
        self._pause(max(0.0, self._next - now))
        self._next = max(now, self._next) + 1 / self._settings.requests_per_second

    def _pause(self, seconds: float) -> None:
        if self._clock() + seconds > self._end:
            raise Stopped(f"it takes longer than time-limit ({self._settings.time_limit:g} s)")
        if seconds > 0:
            self._sleep(seconds)

    def _body(self, response: requests.Response) -> bytes:
        """The answer's octets; a server that dribbles is cut off as a silent one is."""
        end = min(self._end, self._clock() + self._settings.timeout)
        parts: list[bytes] = []
        size = 0
        for part in response.iter_content(_CHUNK):
            parts.append(part)
            size += len(part)
            if size > ANSWER_OCTETS:
                raise Stopped(f"an answer has more than {ANSWER_OCTETS} octets; lower page-size")
            if self._clock() > end:
                raise requests.Timeout("the answer takes too long")
        return b"".join(parts)


def _read(response: requests.Response, body: bytes) -> requests.Response:
    """The answer with its body at hand: the one of the adapter gives it once only."""
    made = requests.Response()
    made.status_code, made.reason = response.status_code, response.reason
    made.url, made.request = response.url, response.request
    made.headers, made.encoding = response.headers, response.encoding
    made.raw = io.BytesIO(body)
    return made


def _seconds(headers: Mapping[str, str]) -> float:
    """How long a busy server asks to wait."""
    written = headers.get("Retry-After", "")
    return float(written) if written.isdecimal() and len(written) < 6 else _WAIT_SECONDS


def session_for(settings: ApiSettings, clock: Clock) -> requests.Session:
    """A session that knows this one server; netrc and proxies of the environment are left out."""
    session = requests.Session()
    session.trust_env = False
    session.verify = settings.verify
    if settings.proxy:
        session.proxies = {"http": settings.proxy, "https": settings.proxy}
    session.adapters.clear()
    parts = urlsplit(settings.url)
    session.mount(f"{parts.scheme}://{parts.netloc}/", ReadOnlyAdapter(settings, clock))
    return session
