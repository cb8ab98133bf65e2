"""Helper processes: work that goes on beside this process, on another core.

A helper is ``python -m MODULE`` of ours: it is started anew and not forked, for there may be
threads here. Messages are octets with their length in front, on its standard input and output.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Final, NamedTuple

_LENGTH: Final = 8  # octets of the number in front of a message


class Pipes(NamedTuple):
    """The two ends of ours."""

    into: IO[bytes]
    out: IO[bytes]


@contextmanager
def helper(module: str) -> Iterator[Pipes]:
    """A process that runs ``module``; it is gone when the context is left."""
    command = [sys.executable, "-m", module]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Pipes(process.stdin, process.stdout)
        finally:
            process.kill()


def send(pipe: IO[bytes], message: bytes) -> None:
    """Send a message. Raises: BrokenPipeError, when nobody is there any more."""
    pipe.write(len(message).to_bytes(_LENGTH))
    pipe.write(message)
    pipe.flush()


def receive(pipe: IO[bytes]) -> bytes:
    """The next message. Raises: EOFError, when there will be none."""
    length = int.from_bytes(head) if (head := pipe.read(_LENGTH)) else -1
    message = pipe.read(length) if length >= 0 else b""
    if length < 0 or len(message) < length:
        raise EOFError
    return message
