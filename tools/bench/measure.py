"""The measurements, phase by phase. Each begins with an empty cloud; only the last leaves VMs."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from google.longrunning.operations_pb2 import Operation

from tools.bench.client import Cloud, Unexpected, in_flight
from tools.bench.figures import BY_NAME
from tools.bench.notes import Notes, Part

AT_ONCE: Final = 16
BURST: Final = 200
FEW: Final = 10
MANY: Final = 1000
#: Processor time is noted for so many operations at a time.
_BLOCK: Final = 10
_GETS: Final = 100
_MS: Final = 1000.0


@dataclass(frozen=True, slots=True)
class Effort:
    """How often everything is done."""

    lives: int = 200
    changes: int = 100
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
    changes=30,
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
            "power": self._power,
            "remake": self._remake,
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

        async def nothing(part: Part) -> None:
            part.operations = self._effort.idle_seconds
            await asyncio.sleep(self._effort.idle_seconds)

        taken = (await self._notes.part("a second of idling", nothing)).spent
        self._notes.take_idle(taken)
        self._notes.add("cpu_idle", taken.cluster * _MS / taken.wall)
        self._notes.add("processes", self._notes.take_memory("memory_idle"))

    async def _life(self) -> None:
        """One instance after another: made, stopped, started, deleted."""
        cloud, notes = self._cloud, self._notes

        async def lives(part: Part) -> None:
            part.operations = _BLOCK
            for _ in range(_BLOCK):
                begun = time.perf_counter()
                accepted = await cloud.create()
                notes.took("create_accepted", begun)
                name = cloud.active(await cloud.settled(accepted)).name
                notes.took("boot_alone", begun)
                await notes.timed("op_stop", cloud.stop(name))
                await notes.timed("op_start", cloud.start(name))
                await notes.timed("op_delete", cloud.delete(name))

        for _ in range(self._effort.lives // _BLOCK):
            await notes.part("life", lives)

    async def _power(self) -> None:
        """One instance that stands still, goes on and begins anew, again and again."""
        cloud, notes = self._cloud, self._notes
        name = await cloud.boot()

        async def rounds(part: Part) -> None:
            part.operations = _BLOCK
            for _ in range(_BLOCK):
                await notes.timed("op_pause", cloud.pause(name))
                await notes.timed("op_unpause", cloud.unpause(name))
                await notes.timed("op_suspend", cloud.suspend(name))
                await notes.timed("op_resume", cloud.resume(name))
                await notes.timed("op_reboot", cloud.reboot(name))

        for _ in range(self._effort.changes // _BLOCK):
            await notes.part("power", rounds)
        await self.empty()

    async def _remake(self) -> None:
        """One instance that is made anew and changes its size, again and again."""
        cloud, notes = self._cloud, self._notes
        name = await cloud.boot()

        async def rounds(part: Part) -> None:
            part.operations = _BLOCK
            for _ in range(_BLOCK):
                await notes.timed("op_rebuild", cloud.rebuild(name))
                await notes.timed("op_resize_confirm", cloud.resize(name))

        for _ in range(self._effort.changes // _BLOCK):
            await notes.part("remake", rounds)
        await self.empty()

    async def _get(self) -> None:
        name = await self._cloud.boot()
        await self._gets(name, "get_alone")
        for _ in range(self._effort.get_rounds):
            await self._get_round(name)
        await self.empty()

    async def _gets(self, name: str, figure: str) -> None:
        async def gets(part: Part) -> None:
            part.operations = _GETS
            for _ in range(_GETS):
                await self._notes.timed(figure, self._cloud.get(name))

        for _ in range(self._effort.gets // _GETS):
            await self._notes.part(BY_NAME[figure].what, gets)

    async def _get_round(self, name: str) -> None:
        times = self._notes.samples["get_concurrent_time"]

        async def get(name: str) -> None:
            await self._notes.timed("get_concurrent_time", self._cloud.get(name))

        async def gets(part: Part) -> None:
            before, begun = len(times), time.perf_counter()
            await in_flight(get, _until(begun + self._effort.get_seconds, name), AT_ONCE)
            part.operations = len(times) - before
            self._notes.add("get_concurrent", part.operations / (time.perf_counter() - begun))

        await self._notes.part("get", gets, "cpu_per_get")

    async def _burst(self) -> None:
        async def create(part: Part) -> None:
            await self.empty()  # what a repeated block left
            part.before = self._notes.processes.moment()
            part.operations = BURST
            begun = time.perf_counter()
            await self.fill(BURST, "burst_accepted")
            self._notes.add("burst_200", BURST / (time.perf_counter() - begun))

        async def delete(part: Part) -> None:
            if not await self._cloud.names():
                await self.fill(BURST)
            part.before = self._notes.processes.moment()
            begun = time.perf_counter()
            part.operations = await self.empty()
            self._notes.add("burst_delete", part.operations / (time.perf_counter() - begun))

        for _ in range(self._effort.bursts):
            await self._notes.part("boot in a burst", create, "cpu_per_boot_burst")
            await self._notes.part("delete in a burst", delete)

    async def _few(self) -> None:
        await self.fill(FEW)
        await self._boots("boot_at_10", "cpu_per_boot")
        await self.empty()

    async def _many(self) -> None:
        begun = time.perf_counter()
        await self.fill(MANY)
        self._notes.add("fill_1000", MANY / (time.perf_counter() - begun))
        await self._gets((await self._cloud.page(1)).instances[0].name, "get_at_1000")

        async def lists(part: Part) -> None:
            part.operations = _BLOCK
            for _ in range(_BLOCK):
                await self._notes.timed("list_1000", self._page(MANY))

        async def pages(part: Part) -> None:
            part.operations = _BLOCK
            for _ in range(_BLOCK):
                await self._notes.timed("list_page_100", self._page(100))

        for _ in range(self._effort.lists // _BLOCK):
            await self._notes.part("list of 1,000", lists, "cpu_per_list")
            await self._notes.part("page of 100", pages)
        self._notes.take_memory("memory_1000")
        await self._boots("boot_at_1000", "cpu_per_boot_1000")

    async def _page(self, size: int) -> None:
        got = len((await self._cloud.page(size)).instances)
        if got != size:
            raise Unexpected(f"a page of {size} has {got} instances")

    async def _boots(self, figure: str, cpu: str) -> None:
        """Instance after instance beside those there are."""
        made: list[str] = []

        async def boots(part: Part) -> None:
            part.operations = _BLOCK
            boot = self._cloud.boot
            made.extend([await self._notes.timed(figure, boot()) for _ in range(_BLOCK)])

        for _ in range(self._effort.boots // _BLOCK):
            await self._notes.part(BY_NAME[figure].what, boots, cpu)
            await in_flight(self._cloud.delete, made, AT_ONCE)
            made.clear()

    async def _active(self, accepted: Operation) -> None:
        self._cloud.active(await self._cloud.settled(accepted))


def _until(end: float, item: str) -> Iterator[str]:
    while time.perf_counter() < end:
        yield item
