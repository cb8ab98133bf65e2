"""The directory that the session is fuzzed over: the one of the recorded conversations, and an
area with secrets that nobody is told, whatever they say.
"""

import asyncio
from functools import cache
from pathlib import Path
from typing import Final

from argon2 import PasswordHasher

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.dialect import DIALECTS, Compat
from rwhoisd.directory.names import AreaName
from rwhoisd.directory.objects import Object
from rwhoisd.directory.schema import AttributeDef, ClassDef, IndexType, Schema
from rwhoisd.directory.soa import Soa
from rwhoisd.formats.arin import read_installation
from rwhoisd.formats.load import import_installation
from rwhoisd.image.build import build
from rwhoisd.service.hashing import crypt_hash
from rwhoisd.store import Store

INSTALLATION: Final = Path(__file__).parents[1] / "conformance" / "arin" / "data"
AREA: Final = "vault.example"
KNOWN_ID: Final = f"K.{AREA}"
KNOWN_LINE: Final = f"contact:ID:{KNOWN_ID}".encode()
PASSWORD: Final = "Zq7vaultPasswordZq"
_WORDS: Final = ("Zq1pinZq", "Zq2hiddenZq", "Zq3cryptPasswordZq", "Zq4argonPasswordZq")
STORE: Final = "rwhoisd.db"
IMAGE: Final = "image"


@cache
def _hashes() -> tuple[str, str]:
    """Guard-Info of the guardians with hashes: cheap ones, as they are computed all the time."""
    hasher = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    return crypt_hash(_WORDS[2]), hasher.hash(_WORDS[3])


def secrets() -> tuple[bytes, ...]:
    """What no answer and no log may hold."""
    return tuple(text.encode() for text in (PASSWORD, *_WORDS, *_hashes()))


CONTACT: Final = ClassDef(
    "contact",
    (
        AttributeDef("Name", index=IndexType.ALL, required=True, primary=True),
        AttributeDef("Pin", index=IndexType.ALL, private=True),
        AttributeDef("Notes", multi_line=True),
    ),
    version="20240115093000000",
)
GUARDIAN: Final = ClassDef(
    "guardian", (AttributeDef("Guard-Scheme"), AttributeDef("Guard-Info", private=True))
)
VAULT: Final = AuthorityArea(
    AreaName.from_text(AREA),
    Soa("20240115093000000", hostmaster=f"root@{AREA}", primary_server="ns.example:4321"),
    Schema((CONTACT, GUARDIAN)),
    position=99,
)


def objects() -> tuple[Object, ...]:
    """Those of the area with secrets: each is guarded, and has something private."""
    crypt, argon2 = _hashes()
    guards = f"G1.{AREA}", f"G2.{AREA}", f"G3.{AREA}"
    rows = [
        ("guardian", guards[0], {"Guard-Scheme": "pw", "Guard-Info": PASSWORD}),
        ("guardian", guards[1], {"Guard-Scheme": "crypt-pw", "Guard-Info": crypt}),
        ("guardian", guards[2], {"Guard-Scheme": "argon2id", "Guard-Info": argon2}),
        ("contact", KNOWN_ID, {"Name": "Known", "Pin": _WORDS[0], "Guardian": guards[0]}),
        ("contact", f"C.{AREA}", {"Name": "Crypt", "Pin": _WORDS[0], "Guardian": guards[1]}),
        ("contact", f"A.{AREA}", {"Name": "Argon", "Pin": _WORDS[0], "Guardian": guards[2]}),
        (
            *("contact", f"H.{AREA}"),
            {"Name": _WORDS[1], "Notes": _WORDS[1], "Private": "true", "Guardian": guards[0]},
        ),
    ]
    return tuple(
        Object(AREA, name, (("ID", object_id), ("Updated", "20240115093000000"), *lines.items()))
        for name, object_id, lines in rows
    )


def make(folder: Path, compat: Compat) -> None:
    """Store and image of it all in ``folder``."""
    asyncio.run(_make(folder, compat))


async def _make(folder: Path, compat: Compat) -> None:
    async with await Store.open(str(folder / STORE), create=True) as store:
        result = await import_installation(store, read_installation(INSTALLATION / "rwhoisd.conf"))
        assert not result.refused
        async with store.change(AREA, author="fuzz", source="zone", create=True) as change:
            await change.put_area(VAULT)
            for obj in objects():
                await change.add(obj)
        async with store.snapshot() as source:
            await build(source, folder / IMAGE, DIALECTS[compat].eol, reverse=True)
