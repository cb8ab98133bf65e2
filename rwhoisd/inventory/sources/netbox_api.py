"""The live REST API of NetBox through pynetbox; it is only ever read.

Settings (words of the operator): ``url``; ``token-file`` or ``token-env``, never the token
itself; ``verify`` (yes or no), ``ca-file`` (certificates to trust); ``timeout`` of one answer and
``time-limit`` of the whole reading, in seconds; ``page-size``; ``requests-per-second``;
``filter-ENDPOINT``, such as ``filter-prefixes = "status=active&tenant=acme"``.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pynetbox
import requests

from rwhoisd.inventory.facts import Fact, Place
from rwhoisd.inventory.source import Inputs, Report
from rwhoisd.inventory.sources.netbox_book import (
    ADDRESS,
    AGGREGATE,
    DEVICE,
    GROUP,
    MACHINE,
    PREFIX,
    RANGE,
    SERVICE,
    Book,
    Record,
)
from rwhoisd.inventory.sources.netbox_http import Stopped, session_for
from rwhoisd.inventory.sources.netbox_records import facts_of
from rwhoisd.inventory.sources.netbox_settings import ApiSettings, settings_of
from rwhoisd.inventory.sources.records import Fields
from rwhoisd.inventory.structures import Items, Row


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A folder of the API: its application and name, the model in it, and its first version."""

    app: str
    name: str
    model: str
    since: tuple[int, int] = (2, 0)


ENDPOINTS: Final = (
    Endpoint("ipam", "aggregates", AGGREGATE),
    Endpoint("ipam", "prefixes", PREFIX),
    Endpoint("ipam", "ip-ranges", RANGE, since=(3, 0)),
    Endpoint("ipam", "ip-addresses", ADDRESS),
    Endpoint("ipam", "fhrp-groups", GROUP, since=(3, 1)),
    Endpoint("ipam", "services", SERVICE),
    Endpoint("dcim", "devices", DEVICE),
    Endpoint("virtualization", "virtual-machines", MACHINE),
)
_MEND: Final = {
    400: "refuses the filter; mend the setting filter-ENDPOINT",
    401: "does not know the token; make a new one, or mend token-file",
    403: "does not let the token see this (or it has expired); allow it to view the records",
    404: "has no such folder; url is the address of NetBox itself, without /api",
    429: "gets too many requests; set requests-per-second",
}


@dataclass
class _Reader:
    """Reads folder after folder, and says what it could not read."""

    api: pynetbox.api
    settings: ApiSettings
    report: Report
    version: tuple[int, int] = (0, 0)
    records: list[Record] = field(default_factory=list)

    def read(self) -> list[Record]:
        """The records of all folders; what fails makes the source incomplete."""
        if not self._greet():
            return []
        for endpoint in ENDPOINTS:
            if self.version >= endpoint.since and not self._read_folder(endpoint):
                break
        return self.records

    def _greet(self) -> bool:
        """Asks for the version: whether there is a NetBox at all."""
        place = Place(self.settings.url)
        try:
            written = str(self.api.version)
        except _FAILURES as error:
            self.report.partial(place, _reason(error))
            return False
        parts = written.split(".")
        if len(parts) < 2 or not (parts[0].isdecimal() and parts[1].isdecimal()):
            self.report.partial(place, "it does not answer as NetBox does; mend url")
            return False
        self.version = (int(parts[0]), int(parts[1]))
        return True

    def _read_folder(self, endpoint: Endpoint) -> bool:
        """Reads a folder page by page. False: there is no use in going on with others."""
        place = Place(f"{self.settings.url}/api/{endpoint.app}/{endpoint.name}/")
        keys: set[str] = set()
        offset = 0
        try:
            while True:
                rows, count = self._page(endpoint, offset)
                new = [_record(endpoint, row, place) for row in rows]
                self.records += [record for record in new if record.key not in keys]
                keys.update(record.key for record in new)
                offset += len(rows)
                if not rows or offset >= count:
                    break
        except _FAILURES as error:
            self.report.partial(place, f"{_reason(error)} (at record {offset + 1})")
            return not isinstance(error, Stopped)
        if len(keys) != count:
            reason = f"{len(keys)} of {count} records came; it changed meanwhile, read it again"
            self.report.partial(place, reason)
        return True

    def _page(self, endpoint: Endpoint, offset: int) -> tuple[list[dict[str, Any]], int]:
        """One page by number: the ``next`` that a server names is never followed."""
        folder = getattr(getattr(self.api, endpoint.app), endpoint.name.replace("-", "_"))
        paging = {"limit": self.settings.page_size, "offset": offset}
        filters = dict(self.settings.filters.get(endpoint.name, {}))
        if endpoint.model in (DEVICE, MACHINE):
            filters["exclude"] = ["config_context"]  # large, slow to make, and nothing for us
        found = folder.filter(**filters, **paging) if filters else folder.all(**paging)
        rows = [dict(record) for record in found]
        return rows, len(found)


_FAILURES: Final = (
    pynetbox.RequestError,
    pynetbox.ContentError,
    requests.RequestException,
    Stopped,
    KeyError,  # an answer that is JSON, but no page
    TypeError,
    ValueError,
    AttributeError,
    RecursionError,
)


def _reason(error: Exception) -> str:
    """What went wrong and what mends it, in our own words: theirs may hold what we sent."""
    if isinstance(error, pynetbox.RequestError):
        code = int(error.req.status_code)
        return f"NetBox {_MEND.get(code, 'failed; its own log tells why')} ({code})"
    for kind, message in _TROUBLES:
        if isinstance(error, kind):
            return message
    return str(error) if isinstance(error, Stopped) else "its answer is no page of records"


_TROUBLES: Final[tuple[tuple[type[Exception], str], ...]] = (
    (requests.exceptions.SSLError, "its certificate is not trusted; name the CA with ca-file"),
    (requests.exceptions.ProxyError, "the proxy cannot be reached"),
    (requests.Timeout, "it does not answer in time; a larger timeout may help"),
    (requests.TooManyRedirects, "it sends on and on; mend url"),
    (requests.exceptions.InvalidSchema, "it sends elsewhere; mend url, the token stays here"),
    (requests.ConnectionError, "it cannot be reached; mend url, or start it"),
    (pynetbox.ContentError, "its answer is no JSON; mend url"),
)


def _record(endpoint: Endpoint, values: Mapping[str, Any], place: Place) -> Record:
    row = as_row(values)
    own = row.text("url")
    where = Place(own) if own.startswith(place.file) else place
    return Record(endpoint.model, Fields(row), row.text("id"), where)


def as_row(values: Mapping[str, Any]) -> Row:
    """Plain values as those of a file: the same code reads both."""
    row = Row()
    for key, value in values.items():
        row[str(key)] = _value(value)
    return row


def _value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return as_row(value)
    if not isinstance(value, list):
        return value
    items = Items()
    for item in value:
        items.append(_value(item))
        items.lines.append(0)
    return items


@dataclass(frozen=True)
class NetBoxApi:
    """The source of a live NetBox."""

    kind: str = "netbox-api"
    summary: str = "NetBox over its REST API, with a token from a file or the environment"
    names: tuple[str, ...] = ()

    def read(self, inputs: Inputs, report: Report) -> Iterator[Fact]:
        """The facts of all folders that the token may see. Raises: FormatError (settings)."""
        settings = settings_of(inputs.settings, report)
        api = pynetbox.api(settings.url, token=settings.token)
        api.http_session = session_for(settings, time.monotonic)
        with api.http_session:
            records = _Reader(api, settings, report).read()
        yield from facts_of(Book(records, report))


SOURCE: Final = NetBoxApi()
