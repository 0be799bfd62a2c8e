"""What was acknowledged survives kill -9, whole; a replaced process writes nothing more."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from actors.model.errors import Unavailable
from actors.model.ids import InstanceId
from actors.store.sqlite import SqliteStore
from tests.unit.store.records import DEMO, all_instances, instance, open_store

ROOT = Path(__file__).parents[3]


@contextmanager
def committer(path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that commits all the time."""
    command = (sys.executable, "-m", "tests.unit.store.committer", str(path))
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def acknowledged(process: "subprocess.Popen[str]", at_least: int) -> list[str]:
    assert process.stdout is not None
    return [process.stdout.readline().strip() for _ in range(at_least)]


def the_rest(process: "subprocess.Popen[str]") -> list[str]:
    assert process.stdout is not None
    # A line that the kill cut short says nothing.
    return [line.strip() for line in process.stdout if line.endswith("\n")]


async def taken_over(path: Path) -> SqliteStore:
    """The store, once its writer of before lets go of the file for long enough.

    SQLite keeps no line. Where the disk is slow, who writes all the time may win for five seconds;
    the conductor tries again as well.
    """
    while True:
        with suppress(Unavailable):
            return await open_store(path, keep_events=100_000)


async def check_whole(store: SqliteStore, requests: list[str]) -> set[InstanceId]:
    """All of these are there, and every batch that is there is there whole."""
    instances = await all_instances(store)
    assert {instance(request).id for request in requests} <= set(instances)
    for vm in instances.values():
        assert await store.find_request(DEMO, vm.request_id) is not None
    events = (await store.events_after(0, 1000, 0)).events
    position = events[-1].sequence
    found = [event.id for event in events]
    while more := (await store.events_after(position, 1000, 0)).events:
        position = more[-1].sequence
        found += [event.id for event in more]
    assert len(found) == 2 * len(instances)
    assert {key.partition(".")[0] for key in found} == set(instances)
    return set(instances)


@pytest.mark.parametrize("at_least", [1, 50, 200])
async def test_acknowledged_batches_survive_kill_9(path: Path, at_least: int) -> None:
    with committer(path) as process:
        requests = acknowledged(process, at_least)
        process.kill()
        requests += the_rest(process)
    store = await open_store(path, keep_events=100_000)
    await check_whole(store, requests)
    await store.close()


async def test_a_replaced_process_writes_nothing_more(path: Path) -> None:
    with committer(path) as process:
        requests = acknowledged(process, 20)
        # It still runs, and still writes, when the next one takes over.
        store = await taken_over(path)
        (position, before) = ((await store.events_after(-1, 1, 0)).next_sequence, store.epoch)
        *more, last = the_rest(process)
    assert before == 2
    assert last == "replaced CONDUCTOR_REPLACED"
    instances = await check_whole(store, requests + more)
    assert position == 2 * len(instances)
    await store.close()
