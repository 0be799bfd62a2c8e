"""Sizes that change while a guest runs: between the flavor's own and the most that it allows.

What is above the flavor's memory are memory modules of one size, which the guest's machine is given
and gives back as a whole (``docs/decisions/0019``). Pure.
"""

from dataclasses import dataclass
from typing import Final

from actors.model.commands import InstanceCommand
from actors.model.details import ChangeSize
from actors.model.errors import Conflict, Invalid
from actors.model.extra_specs import number
from actors.model.flavor import Flavor, Size
from actors.model.instance import InstanceRecord

#: Linux takes and gives memory in blocks of this size (x86: ``memory_block_size_bytes``).
BLOCK_MB: Final = 128
#: Slots of the guest's machine. Each is a region that the accelerator keeps.
SLOTS_LIMIT: Final = 32

_MAX_MEMORY: Final = "novaray:max_memory_mb"
_MAX_VCPUS: Final = "novaray:max_vcpus"


@dataclass(frozen=True, slots=True)
class Range:
    """What a guest of a flavor may have."""

    least: Size
    most: Size
    #: MiB of one memory module; 0 where memory cannot grow.
    module_mb: int
    #: How many of them there can be.
    slots: int

    def modules(self, memory_mb: int) -> int:
        """How many modules a guest has beside the flavor's own memory."""
        return (memory_mb - self.least.memory_mb) // self.module_mb if self.module_mb else 0


def range_of(flavor: Flavor) -> Range:
    """What guests of this flavor may have.

    Modules are as small as ``SLOTS_LIMIT`` of them allow; what is left over is not used.
    """
    spare = (number(flavor.extra_specs, _MAX_MEMORY) or 0) - flavor.memory_mb
    module = BLOCK_MB
    while spare // module > SLOTS_LIMIT:
        module *= 2
    slots = max(0, spare // module)
    most = Size(
        vcpus=max(flavor.vcpus, number(flavor.extra_specs, _MAX_VCPUS) or 0),
        memory_mb=flavor.memory_mb + slots * module,
    )
    return Range(flavor.size, most, module if slots else 0, slots)


def asked_size(record: InstanceRecord, details: ChangeSize) -> Size:
    """What the instance is to have."""
    now = record.size_now if details.before is None else details.before
    return Size(
        vcpus=details.vcpus or now.vcpus,
        memory_mb=details.memory_mb or now.memory_mb,
    )


def kept_size(flavor: Flavor, size: Size) -> Size | None:
    """A size as a record keeps it: None where it is the flavor's."""
    return None if size == flavor.size else size


def check_live_size(record: InstanceRecord, command: InstanceCommand) -> None:
    """Let a change of size pass, or say why not.

    Raises:
        Invalid: Nothing is asked for, or more, or less, than the flavor allows.
        Conflict: The flavor names no maximum.
    """
    details = command.details
    if not isinstance(details, ChangeSize):
        return
    allowed = range_of(record.flavor)
    for field, spec, unit in (
        ("memory_mb", _MAX_MEMORY, "MiB of memory"),
        ("vcpus", _MAX_VCPUS, "vCPUs"),
    ):
        wanted = getattr(details, field)
        least, most = getattr(allowed.least, field), getattr(allowed.most, field)
        if wanted is None:
            continue
        if least == most and wanted != least:
            raise Conflict(
                f"Cannot change the size of instance {record.id}: its flavor {record.flavor.name} "
                f"has {least} {unit} and no maximum above that. Resize it to a flavor that has "
                f"more, or one with {spec}.",
                "SIZE_FIXED",
                "",
                {"instance": record.id, "action": command.action.value},
            )
        if not least <= wanted <= most:
            raise _out_of_range(record, field, f"{wanted} {unit} are not {least} to {most}")
    if details.memory_mb is None and details.vcpus is None:
        raise _out_of_range(record, "memory_mb", "neither memory nor vCPUs are given")
    step = allowed.module_mb
    if details.memory_mb is not None and step:
        beyond = (details.memory_mb - allowed.least.memory_mb) % step
        if beyond:
            below = details.memory_mb - beyond
            raise _out_of_range(
                record,
                "memory_mb",
                f"{details.memory_mb} MiB lie between {below} and {below + step}: memory changes "
                f"in steps of {step} MiB",
            )


def _out_of_range(record: InstanceRecord, field: str, problem: str) -> Invalid:
    return Invalid(
        f"Cannot change the size of instance {record.id}: {problem}.",
        "SIZE_INVALID",
        "",
        {field: problem},
    )
