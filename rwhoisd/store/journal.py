"""The journal: every change with the whole object before and after, for replay and history."""

from typing import Any, Literal

from sqlalchemy import RowMapping, Select, Subquery, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from rwhoisd.directory.body import decode_lines
from rwhoisd.directory.changes import Change, Operation
from rwhoisd.directory.objects import Object
from rwhoisd.directory.soa import TimeStamp
from rwhoisd.store.codec import Row, id_key
from rwhoisd.store.tables import journal, unindexed

Side = Literal["before", "after"]
# Columns of the object table → what they are called on a side of the journal.
SIDE_COLUMNS = {
    "class_name": "class",
    "source": "source",
    "indexed": "indexed",
    "answer_order": "order",
    "body": "body",
}


def side(name: Side, row: Row | RowMapping | None) -> Row:
    """Journal columns of an object row before or after a change; all None without a row."""
    return {
        f"{name}_{short}": None if row is None else row[column]
        for column, short in SIDE_COLUMNS.items()
    }


def _object(row: RowMapping, name: Side) -> Object | None:
    if row[f"{name}_body"] is None:
        return None
    return Object(
        area=row["area"],
        class_name=row[f"{name}_class"],
        lines=decode_lines(row[f"{name}_body"]),
        source=row[f"{name}_source"],
        indexed=row[f"{name}_indexed"],
        order=row[f"{name}_order"],
    )


def change_of(row: RowMapping) -> Change:
    """The change that a row of the journal tells of."""
    return Change(
        area=row["area"],
        serial=row["serial"],
        ordinal=row["ordinal"],
        operation=Operation(row["operation"]),
        row=row["row_id"],
        position=row["position"],
        before=_object(row, "before"),
        after=_object(row, "after"),
        author=row["author"],
        source=row["source"],
    )


def after_entry(serial: TimeStamp, ordinal: int) -> Any:
    """Condition: the entry comes after that one; written so that every engine uses the index."""
    c = journal.c
    return and_(c.serial >= serial, or_(c.serial > serial, c.ordinal > ordinal))


def entries(
    area: str | None = None,
    *,
    after: TimeStamp | None = None,
    row: int | None = None,
    object_id: str | None = None,
    limit: int | None = None,
    newest_first: bool = False,
) -> Select[Any]:
    """Query of journal entries by serial, area and ordinal; conditions left out do not count.

    ``object_id`` gives the whole life of every object that ever had this ID.
    """
    c = journal.c
    query = select(journal)
    if area is not None:
        by_object = row is not None or object_id is not None
        key = unindexed(c.area_key) if by_object else c.area_key
        query = query.where(key == area.lower())
    if after is not None:
        query = query.where(c.serial > after)
    if row is not None:
        query = query.where(c.row_id == row)
    if object_id is not None:
        query = query.where(c.row_id.in_(select(_rows_with_id(object_id).c.row_id)))
    order = (c.serial, c.area_key, c.ordinal)
    query = query.order_by(*((column.desc() for column in order) if newest_first else order))
    return query if limit is None else query.limit(limit)


def _rows_with_id(object_id: str) -> Subquery:
    # A subquery of its own: MariaDB takes no LIMIT or ORDER directly inside IN.
    rows = select(journal.c.row_id).where(journal.c.id_key == id_key(object_id))
    return rows.distinct().subquery()


async def read_entries(connection: AsyncConnection, query: Select[Any]) -> list[Change]:
    """All changes that a query of ``entries`` finds."""
    return [change_of(row) for row in (await connection.execute(query)).mappings()]
