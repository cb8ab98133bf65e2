"""The mapping file of the source ``table``: which column of a table says what (TOML)."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, model_validator

from rwhoisd.formats.toml import Strict
from rwhoisd.inventory.facts import Forwarding, Kind

# Words that a column may hold for each of the flags, beside those of a map.
YES: Final = frozenset({"yes", "true", "on", "1", "y", "x"})
_WHERE: Final = ("address", "prefix", "range", "first", "name")


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Words = Annotated[tuple[str, ...], BeforeValidator(_as_list)]


class Fields(Strict):
    """The fields of a fact, each with the column that holds it, or the word that it is."""

    kind: str = ""
    address: str = ""
    prefix: str = ""  # with its length, unless ``mask`` names another column
    mask: str = ""
    range: str = ""  # FIRST-LAST
    first: str = ""
    last: str = ""
    name: str = ""
    aliases: str = ""
    port: str = ""  # 443, https, 443/tcp
    protocol: str = ""
    belongs_to: str = ""
    disabled: str = ""
    forwarding: str = ""
    standby: str = ""
    pool: str = ""
    on_loopback: str = ""
    drives: str = ""
    capacity: str = ""
    crush_place: str = ""
    role: str = ""
    peer: str = ""
    writable: str = ""
    status: str = ""
    site: str = ""
    tenant: str = ""

    def given(self) -> dict[str, str]:
        """Those that are set, by the names of the model."""
        return {key: value for key, value in dict(self).items() if value}


class RecordMapping(Strict):
    """What one row gives: one fact for each address and port in it."""

    column: Fields = Fields()
    constant: Fields = Fields()
    map: Mapping[str, Mapping[str, str]] = {}  # field: word of the table: word of ours
    only: Mapping[str, Words] = {}  # column: words, one of which it has; "*": any word
    not_: Mapping[str, Words] = Field(default={}, alias="not")  # column: words that it has not

    @model_validator(mode="after")
    def _is_whole(self) -> "RecordMapping":
        given = self.column.given() | self.constant.given()
        if "kind" not in given:
            raise ValueError("set constant.kind or column.kind: what is in a row")
        if not any(name in given for name in _WHERE):
            raise ValueError(f"set one of column.{', column.'.join(_WHERE)}: what a row is of")
        if ("first" in given) != ("last" in given):
            raise ValueError("column.first and column.last go together")
        twice = self.column.given().keys() & self.constant.given().keys()
        if twice:
            raise ValueError(f"{', '.join(sorted(twice))} is set as a column and as a constant")
        self._check_words()
        return self

    def _check_words(self) -> None:
        names = {field.alias or name: name for name, field in Fields.model_fields.items()}
        for name in self.map:
            if name not in names:
                raise ValueError(f"map.{name} is no field; fields are {', '.join(names)}")
        kinds = {self.constant.kind, *self.map.get("kind", {}).values()} - {"", SKIP}
        for kind in sorted(kinds - {kind.value for kind in Kind}):
            known = ", ".join(kind.value for kind in Kind)
            raise ValueError(f"kind {kind!r} is unknown; kinds are {known}")
        ways = {self.constant.forwarding, *self.map.get("forwarding", {}).values()} - {""}
        for way in sorted(ways - {way.value for way in Forwarding}):
            known = ", ".join(way.value for way in Forwarding)
            raise ValueError(f"forwarding {way!r} is unknown; it is one of {known}")


SKIP: Final = "-"  # what a map makes of a kind whose rows are left out


class TableMapping(Strict):
    """A mapping file."""

    format: Literal["", "csv", "json"] = ""  # "": what the file looks like
    separator: str = Field(default="", max_length=1)  # of cells; "": the most frequent one
    list_separator: str = ","  # of several values in one cell
    comment: str = "#"  # lines that begin with it are left out; "": none are
    columns: tuple[str, ...] = ()  # their names, for a file without a header
    rows: str = ""  # JSON: keys to the list of rows, with dots between them
    record: tuple[RecordMapping, ...] = ()

    @model_validator(mode="after")
    def _has_records(self) -> "TableMapping":
        if not self.record:
            raise ValueError("set [[record]] once at least: what a row gives")
        return self
