"""Verbs that change objects: add, edit, delete, undo."""

import getpass
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from rwhoisd.admin import common
from rwhoisd.admin.common import (
    DONE,
    REFUSED,
    ConfigOption,
    Failure,
    ImageOption,
    JsonOption,
    StateOption,
    StoreOption,
    Target,
)
from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.changes import StoredObject
from rwhoisd.directory.dialect import DIALECTS, Compat
from rwhoisd.directory.errors import RwhoisError
from rwhoisd.directory.objects import Line
from rwhoisd.directory.soa import TimeStamp
from rwhoisd.directory.visibility import masked_lines
from rwhoisd.formats.edits import (
    Done,
    Edit,
    EditError,
    Editor,
    changed_lines,
    class_of,
    inverse,
    unmasked,
)
from rwhoisd.formats.findings import FormatError
from rwhoisd.formats.plan import ObjectDiff
from rwhoisd.formats.zone import read_objects
from rwhoisd.store import Store

_NOTES: Final = 5  # objects that point at a deleted one are named up to here
_WORDS: Final = {"add": "added", "change": "changed", "remove": "removed"}

SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="NAME=VALUE; may be repeated, also for more values of one name. NAME+=VALUE adds a"
        " value to those that are there.",
        show_default=False,
    ),
]
AuthorOption = Annotated[
    str | None,
    typer.Option("--author", help="Who makes the change; default: you.", show_default=False),
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Check and show what would be done; change nothing.")
]
AreaOption = Annotated[
    str | None, typer.Option("--area", help="The area, when several have it.", show_default=False)
]
FileOption = Annotated[
    Path | None,
    typer.Option(
        "--file",
        help="Attribute: value lines as in zone files; - is standard input.",
        show_default=False,
        readable=False,
    ),
]


@dataclass(frozen=True)
class Manner:
    """How a change is made: asked for or not, tried or done, told to whom."""

    yes: bool
    dry_run: bool
    json: bool

    @property
    def asks(self) -> bool:
        """Whether a person is asked first: only at a terminal."""
        return not (self.yes or self.dry_run) and at_terminal()


def at_terminal() -> bool:
    """Whether there is a person to ask."""
    return sys.stdin.isatty()


def author_of(given: str | None) -> str:
    """Who makes a change: as told, else the user."""
    if given is not None:
        if not given.strip():
            common.misuse("--author: give a name")
        return given.strip()
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name
        return f"uid {os.getuid()}"


@asynccontextmanager
async def editing(target: Target, author: str | None) -> AsyncIterator[Editor]:
    """An editor of the store of ``target``."""
    compat: Compat = "arin" if target.compat == "arin" else "rfc"
    async with target.open() as store:
        try:
            yield Editor(store, DIALECTS[compat], author_of(author))
        except EditError as error:
            raise Failure(str(error)) from error


def lines_of(sets: Sequence[str] | None) -> tuple[Line, ...]:
    """Lines of ``--set``; leaves over one that is none."""
    found = []
    for text in sets or ():
        name, equals, value = text.partition("=")
        if not (equals and name.strip("+ ")):
            common.misuse(f"--set {text}: write NAME=VALUE")
        if not value.strip():
            common.misuse(f"--set {text}: has no value; --unset {name} removes the attribute")
        if any((ord(c) < 32 and c != "\t") or ord(c) == 127 for c in value):
            common.misuse(f"--set {name}: the value holds a control character; remove it")
        found.append((name.strip(), value.strip()))
    return tuple(found)


# --- telling


def tell_diff(one: ObjectDiff, *, err: bool = False) -> None:
    """What a change does to an object, for a person; that Updated moves goes without saying."""
    typer.echo(f"{one.operation} {one.class_name} {one.name}", err=err)
    for mark, lines in (("-", one.minus), ("+", one.plus)):
        for line in lines:
            if one.operation != "change" or not line.startswith("Updated: "):
                typer.echo(f"  {mark} {line}", err=err)


def tell_done(done: Sequence[Done], manner: Manner) -> None:
    """What was done, or would have been."""
    if manner.json:
        common.as_json([done_row(one, manner) for one in done])
        return
    for one in done:
        for edit, name in _named(one):
            if manner.dry_run:
                word = f"would be {_WORDS[edit.operation]}"
                typer.echo(f"{name} {word} in {one.area}")
            else:
                typer.echo(f"{name} {_WORDS[edit.operation]} in {one.area}, serial {one.serial}")


def _named(done: Done) -> list[tuple[Edit, str]]:
    """Each change with the ID of its object, given or made."""
    stored = iter(done.objects)
    order = [e for e in done.edits if e.before and e.wanted]
    order += [e for e in done.edits if e.before is None]
    ids = {id(edit): next(stored).id for edit in order}
    return [(e, f"{e.diff.class_name} {ids.get(id(e)) or e.diff.name}") for e in done.edits]


def done_row(done: Done, manner: Manner) -> dict[str, Any]:
    """A change as JSON shows it."""
    return {
        "area": done.area,
        "serial": None if manner.dry_run else done.serial,
        "dry-run": manner.dry_run,
        "changes": [asdict(edit.diff) for edit in done.edits],
        "objects": [
            {"id": obj.id, "class": obj.class_name, "lines": [list(n) for n in masked_lines(obj)]}
            for obj in ([] if manner.dry_run else done.objects)
        ],
    }


def confirmed(edits: Sequence[Edit], manner: Manner) -> bool:
    """Show what is to be done; whether it may be."""
    if manner.asks or not manner.json:
        for edit in edits:
            tell_diff(edit.diff, err=manner.json)
    if not manner.asks or typer.confirm("Do it?", err=True):
        return True
    common.complain("nothing was changed")
    return False


async def make(editor: Editor, target: Target, edits: Sequence[Edit], manner: Manner) -> int:
    """Show the changes, ask, make them, bring up the image. The exit status."""
    edits = [edit for edit in edits if not edit.empty]
    if not edits:
        if manner.json:
            common.as_json([])
        else:
            typer.echo("nothing to change")
        return DONE
    await editor.carry_out(edits, dry_run=True)  # refused before anybody is asked
    if not confirmed(edits, manner):
        return REFUSED
    done = await editor.carry_out(edits, dry_run=manner.dry_run)
    if not manner.dry_run:
        await target.refresh_image(editor.store)
    tell_done(done, manner)
    return DONE


# --- verbs


def add(
    area: Annotated[str, typer.Argument(help="The authority area it belongs to.")],
    class_name: Annotated[str, typer.Argument(metavar="CLASS", help="A class of the area.")],
    file: FileOption = None,
    sets: SetOption = None,
    author: AuthorOption = None,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    config: ConfigOption = None,
    state: StateOption = None,
    store: StoreOption = None,
    image: ImageOption = None,
    json: JsonOption = False,
) -> None:
    """Add an object: from a file, from --set, or both. Without an ID it gets one."""
    given = lines_of(sets)
    if not given and file is None:
        common.misuse("say what the object is: --set NAME=VALUE, or --file FILE")

    async def work() -> int:
        target = common.target(config, state, store, image)
        async with editing(target, author) as editor:
            found = await editor.area(area)
            class_def = class_of(found, class_name)
            lines = _text_lines(_read(file), file, found, class_def.name) if file else []
            lines = changed_lines(lines, class_def, given, ())
            edit = await editor.addition(found.name.text, class_def.name, lines)
            return await make(editor, target, [edit], Manner(yes, dry_run, json))

    common.run(work)


def edit(
    object_id: Annotated[str, typer.Argument(metavar="ID", help="The object's ID.")],
    file: FileOption = None,
    sets: SetOption = None,
    unsets: Annotated[
        list[str] | None,
        typer.Option("--unset", help="NAME, an attribute to remove.", show_default=False),
    ] = None,
    area: AreaOption = None,
    author: AuthorOption = None,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    config: ConfigOption = None,
    state: StateOption = None,
    store: StoreOption = None,
    image: ImageOption = None,
    json: JsonOption = False,
) -> None:
    """Change an object: by --set and --unset, from a file, or else in $EDITOR."""
    given = lines_of(sets)
    in_editor = not given and not unsets and file is None
    if in_editor and not at_terminal():
        common.misuse("without a terminal there is no editor; use --set, --unset or --file")

    async def work() -> int:
        target = common.target(config, state, store, image)
        async with editing(target, author) as editor:
            before = await editor.find(object_id, area)
            found = await editor.area(before.object.area)
            manner = Manner(yes, dry_run, json)
            if in_editor:
                return await _in_editor(editor, target, before, found, manner)
            lines: Sequence[Line] = before.object.lines
            if file is not None:
                text = _read(file)
                read = _text_lines(text, file, found, before.object.class_name)
                lines = list(unmasked(read, before.object))
            class_def = class_of(found, before.object.class_name)
            lines = changed_lines(lines, class_def, given, unsets or ())
            return await make(editor, target, [await editor.edition(before, lines)], manner)

    common.run(work)


def _read(file: Path) -> str:
    """The text of a file. Raises: Failure, OSError."""
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise Failure(f"{file}: is not utf-8 at octet {error.start}; save it so") from error


def _text_lines(text: str, file: Path, area: AuthorityArea, class_name: str) -> list[Line]:
    """Lines of the one object of a text. Raises: Failure, FormatError."""
    name = Path("standard input") if str(file) == "-" else file
    placed = read_objects(text, name, area, class_name)
    if len(placed) != 1:
        raise Failure(f"{name}: holds {len(placed)} objects; one is needed, without empty lines")
    [one] = placed
    if one.object.class_name != class_name:
        raise Failure(
            f"{name}:{one.numbers[0]}: is of class {one.object.class_name}, not {class_name};"
            " mend the Class-Name line"
        )
    return list(one.object.lines)


async def _in_editor(
    editor: Editor, target: Target, before: StoredObject, area: AuthorityArea, manner: Manner
) -> int:
    """Change an object in $EDITOR; a text that is refused is kept."""
    obj = before.object
    text = f"# {obj.class_name} of {obj.area}; lines that begin with # do not count.\n"
    text += "".join(f"{name}: {value}\n" for name, value in masked_lines(obj))
    handle, name = tempfile.mkstemp(prefix="rwhois-admin-", suffix=".txt")
    path = Path(name)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    try:
        _run_editor(path)
        read = _text_lines(_read(path), path, area, obj.class_name)
        made = await editor.edition(before, unmasked(read, obj))
        status = await make(editor, target, [made], manner)
    except (EditError, Failure, FormatError, RwhoisError, OSError):
        common.complain(f"your text is kept in {path}; mend it, then edit {obj.id} --file {path}")
        raise
    _forget(path)
    return status


def _forget(path: Path) -> None:
    path.unlink(missing_ok=True)


def _run_editor(path: Path) -> None:
    """Raises: Failure, when the editor does not end well."""
    command = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        done = subprocess.run([*shlex.split(command), str(path)], check=False)
    except (OSError, ValueError) as error:
        raise Failure(f"{command}: cannot be run ({error}); set EDITOR") from error
    if done.returncode:
        raise Failure(f"{command}: ended with status {done.returncode}; nothing was changed")


def delete(
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="IDs of objects.")],
    area: AreaOption = None,
    author: AuthorOption = None,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    config: ConfigOption = None,
    state: StateOption = None,
    store: StoreOption = None,
    image: ImageOption = None,
    json: JsonOption = False,
) -> None:
    """Delete objects; all of them or, when one cannot be found, none."""

    async def work() -> int:
        target = common.target(config, state, store, image)
        async with editing(target, author) as editor:
            found = [await editor.find(one, area) for one in dict.fromkeys(ids)]
            for name in {stored.object.area for stored in found}:
                await editor.area(name)
            edits = [Edit(stored, None) for stored in {s.row: s for s in found}.values()]
            await _tell_references(editor.store, found)
            return await make(editor, target, edits, Manner(yes, dry_run, json))

    common.run(work)


async def _tell_references(store: Store, gone: Sequence[StoredObject]) -> None:
    """Tell of objects that still point at those that go."""
    rows = {stored.row for stored in gone}
    for stored in gone:
        left = [e for e in await store.references_to(stored.object.id or "") if e.row not in rows]
        names = list(dict.fromkeys(f"{e.class_name} {e.object_id or e.row}" for e in left))
        if names:
            more = f" and {len(names) - _NOTES} more" if len(names) > _NOTES else ""
            common.complain(
                f"note: {stored.object.id} is still named by {', '.join(names[:_NOTES])}{more}"
            )


def undo(
    serial: Annotated[str, typer.Argument(help="Serial of a change; see: journal.")],
    area: Annotated[
        str | None, typer.Option("--area", help="The area that was changed.", show_default=False)
    ] = None,
    author: AuthorOption = None,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    config: ConfigOption = None,
    state: StateOption = None,
    store: StoreOption = None,
    image: ImageOption = None,
    json: JsonOption = False,
) -> None:
    """Take one change back by a new one, if all of its objects are as it left them."""
    stamp = TimeStamp(serial) if len(serial) == 17 and serial.isdigit() else None
    if stamp is None:
        common.misuse(f"{serial}: a serial has 17 digits; rwhois-admin journal shows them")

    async def work() -> int:
        target = common.target(config, state, store, image)
        async with editing(target, author) as editor:
            edits = await _inverse(editor, stamp, area)
            return await make(editor, target, edits, Manner(yes, dry_run, json))

    common.run(work)


async def _inverse(editor: Editor, serial: TimeStamp, area: str | None) -> list[Edit]:
    """What takes a change back. Raises: Failure, EditError, RwhoisError."""
    before = TimeStamp(f"{max(int(serial.text) - 1, 0):017d}")
    names = [a.name.text for a in await editor.store.areas()]
    if area is not None:
        names = [(await editor.area(area)).name.text]
    changes = {}
    for name in names:
        async with editor.store.snapshot() as source:
            entries = []
            async for entry in source.changes(name, before):
                if entry.serial != serial:
                    break
                entries.append(entry)
        if entries:
            changes[name] = entries
    if not changes:
        where = f"{area} has no" if area else "no area has a"
        raise Failure(f"{where} change {serial.text}; rwhois-admin journal shows them")
    if len(changes) > 1:
        raise Failure(f"{' and '.join(changes)} have a change {serial.text}; say which with --area")
    [(name, entries)] = changes.items()
    await editor.area(name)
    rows = {}
    for entry in entries:
        found = await editor.store.find_objects(name, row=entry.row) if entry.row else []
        rows[entry.row] = found[0] if found else None
    return inverse(entries, rows.get)
