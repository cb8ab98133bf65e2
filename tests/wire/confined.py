"""Starts a program as a unit of systemd would, as far as that can be had without systemd.

``python -m tests.wire.confined UNIT PROGRAM ARGUMENT...``: another user when we are root, no way to
new rights, no memory that is both written and run, and only the system calls of the unit's filter;
any other gives EPERM, as the unit says.
"""

import ctypes
import errno
import os
import pwd
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_SET_MDWE: Final = 65  # since Linux 6.3
_ALLOW: Final = 0x7FFF0000
_REFUSE: Final = 0x00050000 | errno.EPERM


def options(unit: Path) -> dict[str, list[str]]:
    """Option of a unit file → its values, in order."""
    found: dict[str, list[str]] = {}
    for line in unit.read_text("utf-8").splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def system_calls(filters: Iterable[str]) -> set[str]:
    """The calls that lines of SystemCallFilter leave."""
    allowed: set[str] = set()
    for line in filters:
        names = set().union(*(_members(word) for word in line.removeprefix("~").split()))
        allowed = allowed - names if line.startswith("~") else allowed | names
    return allowed


def _members(name: str) -> set[str]:
    if not name.startswith("@"):
        return {name}
    shown = subprocess.run(
        ["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True
    )
    words = re.findall(r"^ +([@\w-]+)$", shown.stdout, re.MULTILINE)
    assert words, name
    return set().union(*(_members(word) for word in words))


def confine(unit: Path) -> None:
    """Give up what the unit gives up."""
    given = options(unit)
    calls = system_calls(given["SystemCallFilter"])
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() == 0:
        entry = pwd.getpwnam("nobody")  # in the place of the unit's user
        os.setgroups([])
        os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
        os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)
    os.umask(int(given["UMask"][0], 8))
    _succeed(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    if given["MemoryDenyWriteExecute"] == ["yes"] and libc.prctl(_PR_SET_MDWE, 1, 0, 0, 0):
        assert ctypes.get_errno() == errno.EINVAL, "an older kernel"
    _load(calls)


def _load(calls: set[str]) -> None:
    library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(_REFUSE))
    assert context
    for call in sorted(calls):
        number = library.seccomp_syscall_resolve_name(call.encode())
        if number >= 0:  # else another architecture's
            _succeed(library.seccomp_rule_add_array(context, _ALLOW, number, 0, None))
    _succeed(library.seccomp_load(context))


def _succeed(status: int) -> None:
    assert status == 0, os.strerror(ctypes.get_errno() or abs(status))


if __name__ == "__main__":
    confine(Path(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])
