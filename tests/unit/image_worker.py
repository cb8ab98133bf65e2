"""A program that builds and catches up without end, to be killed. Arguments: folder, first step."""

import asyncio
import sys
from pathlib import Path

from rwhoisd.image.build import build
from rwhoisd.image.catch_up import catch_up
from tests.unit.image_data import after_steps, one_step


async def main(path: Path, step: int) -> None:
    source = after_steps(step)
    print("ready", flush=True)
    while True:
        one_step(source, step)
        step += 1
        if step % 5:
            await catch_up(source, path, b"\n")
        else:
            await build(source, path, b"\n", reverse=bool(step % 2))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
