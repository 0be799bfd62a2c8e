"""What a run writes down: samples, processor time, memory, and who else was at work."""

import asyncio
import gc
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from tools.bench.figures import BY_NAME
from tools.bench.samples import Measured, summary
from tools.bench.usage import Moment, Processes, Spent, Usage, spent, total_pss

_MS: Final = 1000.0
_PAUSE_SECONDS: Final = 1.0

Value = TypeVar("Value")


#: More than this share of the processors for strangers, and times are theirs as much as ours.
NOISY: Final = 0.1


@dataclass
class Part:
    """One measured stretch of a run, and how many operations it had."""

    before: Moment
    after: Moment | None = None
    operations: float = 1

    @property
    def spent(self) -> Spent:
        """Processor time, from the stretch's begin to its end."""
        assert self.after is not None, "not ended yet"
        return spent(self.before, self.after)


Block = Callable[[Part], Awaitable[None]]


@dataclass
class Notes:
    """All that one run has measured."""

    processes: Processes
    #: Seconds that may go for doing again what others disturbed.
    patience: float = 0.0
    samples: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    #: Of each part: processor time of each process, in ms for one operation.
    cpu: dict[str, dict[str, float]] = field(default_factory=dict)
    #: Of each part: the largest share of the machine's processors that went to strangers.
    strangers: dict[str, float] = field(default_factory=dict)
    memory: dict[str, list[Usage]] = field(default_factory=dict)
    #: Processor time a second of each process while nobody asks anything.
    idle: dict[str, float] = field(default_factory=dict)

    def add(self, figure: str, value: float) -> None:
        """One sample."""
        assert figure in BY_NAME, figure
        self.samples[figure].append(value)

    def took(self, figure: str, begun: float, ended: float | None = None) -> None:
        """One sample in milliseconds, by ``time.perf_counter``."""
        self.add(figure, ((ended or time.perf_counter()) - begun) * _MS)

    async def timed(self, figure: str, call: Awaitable[Value]) -> Value:
        """One sample: how long the call takes."""
        begun = time.perf_counter()
        value = await call
        self.took(figure, begun)
        return value

    async def part(self, name: str, block: Block, figure: str = "") -> Part:
        """Run a block, and note what the cluster takes meanwhile, less what it takes anyway.

        Our own collector of garbage rests: its pauses are no cost of the cluster. A block that was
        disturbed is forgotten and done again while ``patience`` lasts.

        Args:
            name: What the block is a part of.
            block: Sets ``operations`` of the part it is given; must be fit to be repeated.
            figure: The one that is the sum of the cluster's processor time for one operation.
        """
        while True:
            before = {name: len(values) for name, values in self.samples.items()}
            part = await self._run(block)
            share = part.spent.others_share
            if share <= NOISY or self.patience <= 0:
                break
            self.patience -= part.spent.wall + _PAUSE_SECONDS
            for key, values in self.samples.items():
                del values[before.get(key, 0) :]
            await asyncio.sleep(_PAUSE_SECONDS)
        self.strangers[name] = max(self.strangers.get(name, 0.0), share)
        self.cpu[name] = self._for_one(part.spent, part.operations)
        if figure:
            self.add(figure, sum(self.cpu[name].values()))
        return part

    async def _run(self, block: Block) -> Part:
        self.processes.look()
        gc.collect()
        gc.disable()
        before = self.processes.moment()
        part = Part(before)
        try:
            await block(part)
        finally:
            gc.enable()
        part.after = self.processes.moment()
        return part

    def take_idle(self, idle: Spent) -> None:
        """What the cluster takes while nobody asks anything."""
        self.idle = {name: seconds / idle.wall for name, seconds in idle.named.items()}

    def take_memory(self, figure: str) -> int:
        """What all processes have now; how many there are."""
        self.memory[figure] = self.processes.usages()
        self.samples[figure] = [total_pss(self.memory[figure])]
        return len(self.memory[figure])

    def measured(self, names: frozenset[str]) -> Mapping[str, Measured]:
        """All figures, or those asked for."""
        return {
            name: summary(BY_NAME[name], values)
            for name, values in self.samples.items()
            if values and (not names or name in names)
        }

    def _for_one(self, spent: Spent, operations: float) -> dict[str, float]:
        return {
            name: (seconds - self.idle.get(name, 0.0) * spent.wall) * _MS / operations
            for name, seconds in spent.named.items()
        }
