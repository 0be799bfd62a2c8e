"""The measurements, phase by phase. Each begins with an empty cloud; only the last leaves VMs."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from google.longrunning.operations_pb2 import Operation

from tools.bench.client import Cloud, Unexpected, in_flight
from tools.bench.figures import BY_NAME
from tools.bench.notes import Notes

AT_ONCE: Final = 16
BURST: Final = 200
FEW: Final = 10
MANY: Final = 1000
#: Processor time is noted for so many boots at a time.
_BLOCK: Final = 10
_MS: Final = 1000.0


@dataclass(frozen=True, slots=True)
class Effort:
    """How often everything is done."""

    lives: int = 200
    gets: int = 1000
    get_rounds: int = 5
    get_seconds: float = 3.0
    bursts: int = 5
    boots: int = 50
    lists: int = 30
    idle_seconds: float = 10.0
    warm_up: int = 50


QUICK: Final = Effort(
    lives=40,
    gets=200,
    get_rounds=3,
    get_seconds=1.0,
    bursts=2,
    boots=20,
    lists=10,
    idle_seconds=3.0,
    warm_up=20,
)


class Bench:
    """One run over one cluster."""

    def __init__(self, cloud: Cloud, notes: Notes, effort: Effort) -> None:
        self._cloud = cloud
        self._notes = notes
        self._effort = effort

    async def run(self, phase: str) -> None:
        """Measure all figures of a phase (``figures.PHASES``)."""
        phases = {
            "idle": self._idle,
            "life": self._life,
            "get": self._get,
            "burst": self._burst,
            "few": self._few,
            "many": self._many,
        }
        await phases[phase]()

    async def warm_up(self) -> None:
        """What is done for the first time takes longer: imports, connections, caches."""
        for _ in range(self._effort.warm_up):
            name = await self._cloud.boot()
            await self._cloud.get(name)
            await self._cloud.stop(name)
            await self._cloud.start(name)
            await self._cloud.delete(name)
        await self.fill(self._effort.warm_up)
        await self.empty()

    async def fill(self, number: int, answered: str = "") -> None:
        """Create so many, 16 creates at a time, and wait until all are ACTIVE."""
        async with asyncio.TaskGroup() as waiting:

            async def create(_: int) -> None:
                begun = time.perf_counter()
                accepted = await self._cloud.create()
                if answered:
                    self._notes.took(answered, begun)
                waiting.create_task(self._active(accepted))

            await in_flight(create, range(number), AT_ONCE)

    async def empty(self) -> int:
        """Delete all there are, 16 at a time; how many there were."""
        names = await self._cloud.names()
        await in_flight(self._cloud.delete, names, AT_ONCE)
        return len(names)

    async def _idle(self) -> None:
        """Memory, processes, and what the cluster does for itself, before the first instance."""
        await asyncio.sleep(self._effort.idle_seconds / 3)
        with self._notes.part("a second of idling") as part:
            part.operations = self._effort.idle_seconds
            await asyncio.sleep(self._effort.idle_seconds)
        assert part.spent is not None
        self._notes.take_idle(part.spent)
        self._notes.add("cpu_idle", part.spent.cluster * _MS / part.spent.wall)
        self._notes.add("processes", self._notes.take_memory("memory_idle"))

    async def _life(self) -> None:
        """One instance after another: made, stopped, started, deleted."""
        cloud, notes = self._cloud, self._notes
        with notes.part("life") as part:
            part.operations = self._effort.lives
            for _ in range(self._effort.lives):
                begun = time.perf_counter()
                accepted = await cloud.create()
                notes.took("create_accepted", begun)
                name = cloud.active(await cloud.settled(accepted)).name
                notes.took("boot_alone", begun)
                await notes.timed("op_stop", cloud.stop(name))
                await notes.timed("op_start", cloud.start(name))
                await notes.timed("op_delete", cloud.delete(name))

    async def _get(self) -> None:
        name = await self._cloud.boot()
        with self._notes.part("get alone") as part:
            part.operations = self._effort.gets
            for _ in range(self._effort.gets):
                await self._notes.timed("get_alone", self._cloud.get(name))
        for _ in range(self._effort.get_rounds):
            await self._get_round(name)
        await self.empty()

    async def _get_round(self, name: str) -> None:
        before = len(self._notes.samples["get_concurrent_time"])

        async def get(name: str) -> None:
            await self._notes.timed("get_concurrent_time", self._cloud.get(name))

        with self._notes.part("get", "cpu_per_get") as part:
            begun = time.perf_counter()
            await in_flight(get, _until(begun + self._effort.get_seconds, name), AT_ONCE)
            seconds = time.perf_counter() - begun
            part.operations = len(self._notes.samples["get_concurrent_time"]) - before
        self._notes.add("get_concurrent", part.operations / seconds)

    async def _burst(self) -> None:
        for _ in range(self._effort.bursts):
            with self._notes.part("boot in a burst", "cpu_per_boot_burst") as part:
                part.operations = BURST
                begun = time.perf_counter()
                await self.fill(BURST, "burst_accepted")
                self._notes.add("burst_200", BURST / (time.perf_counter() - begun))
            with self._notes.part("delete in a burst") as part:
                begun = time.perf_counter()
                part.operations = await self.empty()
                self._notes.add("burst_delete", part.operations / (time.perf_counter() - begun))

    async def _few(self) -> None:
        await self.fill(FEW)
        await self._boots("boot_at_10", "cpu_per_boot")
        await self.empty()

    async def _many(self) -> None:
        begun = time.perf_counter()
        await self.fill(MANY)
        self._notes.add("fill_1000", MANY / (time.perf_counter() - begun))
        name = (await self._cloud.page(1)).instances[0].name
        for _ in range(self._effort.gets // 5):
            await self._notes.timed("get_at_1000", self._cloud.get(name))
        for _ in range(self._effort.lists // _BLOCK):
            with self._notes.part("list of 1,000", "cpu_per_list") as part:
                part.operations = _BLOCK
                for _ in range(_BLOCK):
                    await self._notes.timed("list_1000", self._page(MANY))
        for _ in range(self._effort.lists):
            await self._notes.timed("list_page_100", self._page(100))
        self._notes.take_memory("memory_1000")
        await self._boots("boot_at_1000", "cpu_per_boot_1000")

    async def _page(self, size: int) -> None:
        got = len((await self._cloud.page(size)).instances)
        if got != size:
            raise Unexpected(f"a page of {size} has {got} instances")

    async def _boots(self, figure: str, cpu: str) -> None:
        """Instance after instance beside those there are; none is deleted."""
        for _ in range(self._effort.boots // _BLOCK):
            with self._notes.part(BY_NAME[figure].what, cpu) as part:
                part.operations = _BLOCK
                for _ in range(_BLOCK):
                    await self._notes.timed(figure, self._cloud.boot())

    async def _active(self, accepted: Operation) -> None:
        self._cloud.active(await self._cloud.settled(accepted))


def _until(end: float, item: str) -> Iterator[str]:
    while time.perf_counter() < end:
        yield item
