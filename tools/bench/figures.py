"""Every figure: what it means, what Nova took, and what the target is."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing that is measured.

    Attributes:
        name: Its key in the JSON file.
        what: What it says, in a table's width.
        unit: Of all its numbers.
        phase: Which part of the run measures it.
        nova34: What Nova 34 took, in the same unit; None where nobody measured it.
        target: What we are to reach.
        larger_is_better: A rate, and not a time or an amount.
    """

    name: str
    what: str
    unit: str
    phase: str
    nova34: float | None = None
    target: float | None = None
    larger_is_better: bool = False

    def is_met(self, value: float) -> bool | None:
        """Whether the target is met; None where there is none."""
        if self.target is None:
            return None
        return value >= self.target if self.larger_is_better else value <= self.target

    def times_better(self, value: float, other: float) -> float:
        """How many times better ``value`` is than ``other``; below 1 it is worse."""
        better, worse = (value, other) if self.larger_is_better else (other, value)
        return better / worse if worse else float("inf")


#: MiB in 1.2 GiB.
_MEMORY_TARGET: Final = 1228.8

#: Nova's figures are the better of its two columns in the table it was measured for (one host and
#: ten hosts), without networks, which is in Nova's favour: ours gives each instance a port.
FIGURES: Final = (
    Figure("memory_idle", "memory idle (PSS)", "MiB", "idle", 2274, _MEMORY_TARGET),
    Figure("processes", "processes", "", "idle", 32),
    Figure("cpu_idle", "processor time idle", "ms/s", "idle"),
    Figure("create_accepted", "create answered, alone", "ms", "life", 86),
    Figure("boot_alone", "create → ACTIVE, alone", "ms", "life", 751, 40),
    Figure("op_stop", "stop until settled", "ms", "life", 212),
    Figure("op_start", "start until settled", "ms", "life", 342),
    Figure("op_delete", "delete until settled", "ms", "life", 513),
    Figure("op_pause", "pause until settled", "ms", "power", 189),
    Figure("op_unpause", "unpause until settled", "ms", "power", 224),
    Figure("op_suspend", "suspend until settled", "ms", "power", 270),
    Figure("op_resume", "resume until settled", "ms", "power", 357),
    Figure("op_reboot", "hard reboot until settled", "ms", "power", 382),
    Figure("op_rebuild", "rebuild until settled", "ms", "remake"),
    Figure("op_resize_confirm", "resize and confirm until settled", "ms", "remake"),
    Figure("get_alone", "get, alone", "ms", "get", 43, 4),
    Figure("get_concurrent", "gets, 16 in flight", "1/s", "get", 41, 800, larger_is_better=True),
    Figure("get_concurrent_time", "one get of 16 in flight", "ms", "get"),
    Figure("cpu_per_get", "processor time per get, 16 in flight", "ms", "get", 52),
    Figure(
        "burst_200", "200 creates, 16 in flight", "1/s", "burst", 1.59, 80, larger_is_better=True
    ),
    Figure("burst_accepted", "one create's answer in it", "ms", "burst", 3500),
    Figure("cpu_per_boot_burst", "processor time per boot in it", "ms", "burst"),
    Figure(
        "burst_delete", "200 deletes, 16 in flight", "1/s", "burst", 2.86, larger_is_better=True
    ),
    Figure("boot_at_10", "create → ACTIVE beside 10", "ms", "few"),
    Figure("cpu_per_boot", "processor time per boot beside 10", "ms", "few", 950),
    Figure("fill_1000", "filling to 1,000", "1/s", "many", 2.04, larger_is_better=True),
    Figure("list_1000", "list of 1,000, one page", "ms", "many", 5560, 120),
    Figure("list_page_100", "list, page of 100 of 1,000", "ms", "many", 708),
    Figure("cpu_per_list", "processor time per list of 1,000", "ms", "many"),
    Figure("get_at_1000", "get, alone, beside 1,000", "ms", "many"),
    Figure("boot_at_1000", "create → ACTIVE beside 1,000", "ms", "many"),
    Figure("cpu_per_boot_1000", "processor time per boot beside 1,000", "ms", "many"),
    Figure("memory_1000", "memory with 1,000 (PSS)", "MiB", "many", 4087, _MEMORY_TARGET),
)
BY_NAME: Final = {figure.name: figure for figure in FIGURES}
#: In this order: each needs an empty cloud, and the last does not leave one. ext4 looks through the
#: inodes of the last minutes' deletes at every new file, so what deletes most comes late.
PHASES: Final = ("idle", "few", "life", "power", "remake", "get", "burst", "many")


def phases_of(names: frozenset[str]) -> tuple[str, ...]:
    """The phases that measure these figures; all for no names."""
    wanted = {BY_NAME[name].phase for name in names} if names else set(PHASES)
    return tuple(phase for phase in PHASES if phase in wanted)
