"""A process that commits until it is killed or replaced. Run with the database's path.

Prints a request for each batch that was acknowledged, then ``replaced`` if it ends by itself.
"""

import asyncio
import itertools
import sys
from pathlib import Path

from actors.model.errors import Unavailable
from actors.store.sqlite import SqliteStore
from tests.unit.store.records import WRITER, batch, instance, open_store, operation

CALLERS = 4


async def _commit(store: SqliteStore, epoch: int, caller: int) -> None:
    for n in itertools.count():
        request = f"{caller}.{n}"
        vm = instance(request)
        await store.commit(batch(vm, operation(vm, request=request), epoch=epoch))
        _say(request)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def _main(path: Path) -> None:
    store = await open_store(path, keep_events=100_000)
    epoch = await store.begin_epoch(WRITER)
    try:
        await asyncio.gather(*(_commit(store, epoch, caller) for caller in range(CALLERS)))
    except Unavailable as error:
        _say(f"replaced {error.reason}")


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1])))
