"""Extra specs: what a flavor says beyond its numbers, in Nova's words where Nova has them.

Nova checks them at its border since microversion 2.86 (``nova/api/validation/extra_specs``). So do
we, but against what this release serves: a spec that would be kept and then ignored is refused. One
of a namespace that neither Nova nor novaray gives a meaning to is the operator's own note, and
kept.
"""

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from actors.model.errors import Invalid

#: Nova's (``flavors.validate_extra_spec_keys``).
_KEY: Final = re.compile(r"[a-zA-Z0-9-_:. ]{1,255}")
VALUE_LIMIT: Final = 255
#: As many as an instance may have metadata items.
SPECS_LIMIT: Final = 128

#: Nova and novaray give these meanings: in them, what is not in ``SERVED`` is refused.
NAMESPACES: Final = frozenset(
    (
        "accel", "aggregate_instance_extra_specs", "capabilities", "hw", "hw_rng", "hw_video",
        "novaray", "os", "pci_passthrough", "powervm", "quota", "resources", "trait", "vmware",
    )
)  # fmt: skip

_TRUE: Final = ("true", "t", "yes", "y", "on", "1")
_FALSE: Final = ("false", "f", "no", "n", "off", "0")

#: cgroup v2 knows 1 to 10000 (``cpu.weight``), v1 begins at 2.
_SHARES: Final = (2, 10_000)
#: virDomainSetSchedulerParameters: microseconds.
_PERIOD: Final = (1_000, 1_000_000)
_QUOTA: Final = (1_000, 17_592_186_044_415)
#: QEMU's THROTTLE_VALUE_MAX.
_THROTTLE: Final = (1, 10**15)
_UINT32: Final = (1, 2**32 - 1)
_INT32: Final = (1, 2**31 - 1)


class WatchdogAction(StrEnum):
    """What the host does when the guest's watchdog has not been fed (Nova's words)."""

    NONE = "none"
    PAUSE = "pause"
    POWEROFF = "poweroff"
    RESET = "reset"
    #: There is no watchdog.
    DISABLED = "disabled"


class FirmwareType(StrEnum):
    """What starts the guest (Glance's property ``hw_firmware_type``)."""

    BIOS = "bios"
    UEFI = "uefi"


@dataclass(frozen=True, slots=True)
class Spec:
    """One extra spec that is served."""

    #: Which values: for people.
    values: str
    #: What it does: for people.
    meaning: str
    #: Whether it is one of ``values``.
    takes: Callable[[str], bool]


def _number(bounds: tuple[int, int], meaning: str) -> Spec:
    low, high = bounds

    def takes(value: str) -> bool:
        return value.isascii() and value.isdecimal() and low <= int(value) <= high

    return Spec(f"{low} to {high}", meaning, takes)


def _word(words: type[StrEnum], meaning: str) -> Spec:
    return Spec(", ".join(words), meaning, lambda value: value in set(words))


def _bool(meaning: str) -> Spec:
    return Spec("true or false", meaning, lambda value: value.lower() in (*_TRUE, *_FALSE))


SERVED: Final[Mapping[str, Spec]] = MappingProxyType(
    {
        "quota:cpu_shares": _number(_SHARES, "weight against other guests when CPU is short"),
        "quota:cpu_period": _number(_PERIOD, "microseconds that quota:cpu_quota is counted in"),
        "quota:cpu_quota": _number(_QUOTA, "microseconds of CPU per vCPU in each period"),
        "quota:disk_read_bytes_sec": _number(_THROTTLE, "bytes read a second, of each local disk"),
        "quota:disk_read_iops_sec": _number(_THROTTLE, "reads a second, of each local disk"),
        "quota:disk_write_bytes_sec": _number(
            _THROTTLE, "bytes written a second, of each local disk"
        ),
        "quota:disk_write_iops_sec": _number(_THROTTLE, "writes a second, of each local disk"),
        "quota:disk_total_bytes_sec": _number(
            _THROTTLE, "bytes read and written a second, of each local disk"
        ),
        "quota:disk_total_iops_sec": _number(
            _THROTTLE, "reads and writes a second, of each local disk"
        ),
        "hw:watchdog_action": _word(
            WatchdogAction, "a watchdog, and what the host does when it is not fed"
        ),
        "hw:firmware_type": _word(FirmwareType, "what starts a guest whose image does not say"),
        "hw_rng:allowed": _bool("a random number generator; there is one unless this says no"),
        "hw_rng:rate_bytes": _number(_UINT32, "bytes it gives in each period; all without it"),
        "hw_rng:rate_period": _number(_UINT32, "milliseconds of a period; 1000 without it"),
        "novaray:max_memory_mb": _number(_INT32, "MiB that memory can be raised to while it runs"),
        "novaray:max_vcpus": _number(_INT32, "vCPUs that can be had while it runs"),
        "novaray:shutdown_timeout": _number(
            (0, 3600), "seconds a guest may take to shut down when the caller does not say"
        ),
    }
)


def check_extra_specs(specs: Mapping[str, str], field: str = "extra_specs") -> None:
    """Let pass what a flavor may say.

    Raises:
        Invalid: ``EXTRA_SPEC_INVALID``, with the field and what is wrong.
    """
    if len(specs) > SPECS_LIMIT:
        raise _invalid(field, f"has {len(specs)} extra specs; {SPECS_LIMIT} are the limit")
    for key, value in specs.items():
        check_extra_spec(key, value, field)
    for what in ("bytes", "iops"):
        total, parts = f"quota:disk_total_{what}_sec", _parts(what)
        if total in specs and not parts.isdisjoint(specs):
            raise _invalid(field, f"{total} cannot be had together with a limit of reads or writes")
    if "hw_rng:rate_period" in specs and "hw_rng:rate_bytes" not in specs:
        raise _invalid(field, "hw_rng:rate_period says nothing without hw_rng:rate_bytes")


def check_extra_spec(key: str, value: str, field: str) -> None:
    """Let pass what is right by itself.

    Raises:
        Invalid: ``EXTRA_SPEC_INVALID``.
    """
    if not _KEY.fullmatch(key):
        raise _invalid(
            field, f"{key[:60]!r} must have 1 to 255 letters, digits, spaces or any of - _ : ."
        )
    if len(value) > VALUE_LIMIT or not value.isprintable():
        raise _invalid(field, f"{key} must have at most {VALUE_LIMIT} printable characters")
    spec = SERVED.get(key)
    if spec is not None:
        if not spec.takes(value):
            raise _invalid(field, f"{key} must be {spec.values}, not {value[:60]!r}")
        return
    # ``resources1:VCPU`` is of the namespace ``resources``, group 1.
    namespace = key.partition(":")[0].rstrip("0123456789") if ":" in key else ""
    if namespace in NAMESPACES:
        near = difflib.get_close_matches(key, SERVED, n=1, cutoff=0.0)[0]
        raise _invalid(field, f"{key} is not served here; the nearest that is: {near}")


def check_ceilings(
    specs: Mapping[str, str], memory_mb: int, vcpus: int, field: str = "extra_specs"
) -> None:
    """Let pass what can be reached from where a flavor begins.

    Raises:
        Invalid: ``EXTRA_SPEC_INVALID``.
    """
    for key, begin in (("novaray:max_memory_mb", memory_mb), ("novaray:max_vcpus", vcpus)):
        ceiling = number(specs, key)
        if ceiling is not None and ceiling < begin:
            raise _invalid(field, f"{key} is {ceiling}; the flavor itself has {begin}")


def number(specs: Mapping[str, str], key: str) -> int | None:
    """The number that a flavor says; None where it says none."""
    value = specs.get(key)
    return None if value is None else int(value)


def truth(specs: Mapping[str, str], key: str, *, default: bool) -> bool:
    """Yes or no, as a flavor says (oslo's ``bool_from_string``)."""
    value = specs.get(key)
    return default if value is None else value.lower() in _TRUE


def _parts(what: str) -> frozenset[str]:
    return frozenset(f"quota:disk_{way}_{what}_sec" for way in ("read", "write"))


def _invalid(field: str, problem: str) -> Invalid:
    return Invalid(
        f"The extra specs are wrong: {problem}.", "EXTRA_SPEC_INVALID", "", {field: problem}
    )
