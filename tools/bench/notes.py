"""What a run writes down: samples, processor time, memory, and who else was at work."""

import gc
import time
from collections import defaultdict
from collections.abc import Awaitable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, TypeVar

from tools.bench.figures import BY_NAME
from tools.bench.samples import Measured, summary
from tools.bench.usage import Processes, Spent, Usage, spent, total_pss

_MS: Final = 1000.0

Value = TypeVar("Value")


@dataclass
class Part:
    """One measured stretch of a run, and how many operations it had."""

    operations: float = 1
    spent: Spent | None = None


@dataclass
class Notes:
    """All that one run has measured."""

    processes: Processes
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

    @contextmanager
    def part(self, name: str, figure: str = "") -> Iterator[Part]:
        """Note what the cluster takes meanwhile, less what it takes anyway; ``figure`` is the sum.

        Our own collector of garbage rests: its pauses are no cost of the cluster.
        """
        part = Part()
        self.processes.look()
        gc.collect()
        gc.disable()
        before = self.processes.moment()
        try:
            yield part
        finally:
            gc.enable()
        part.spent = spent(before, self.processes.moment())
        self.strangers[name] = max(self.strangers.get(name, 0.0), part.spent.others_share)
        self.cpu[name] = self._for_one(part.spent, part.operations)
        if figure:
            self.add(figure, sum(self.cpu[name].values()))

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
