"""What of a domain can change while its guest runs: memory modules, and under KVM vCPUs."""

from typing import Final

import libvirt

from actors.drivers.libvirt.device_xml import MemoryModule
from actors.drivers.libvirt.domain_xml import Cpu, Domain, MaxMemory, NumaCell, Vcpu
from actors.drivers.libvirt.domains import Tolerate
from actors.drivers.libvirt.settings import VirtType
from actors.lifecycle.live_size import range_of
from actors.model.errors import Conflict
from actors.model.flavor import Flavor, Size
from actors.model.instance import InstanceRecord

_KIB: Final = 1024
_ALIAS: Final = "ua-memory-"
_LIVE: Final = libvirt.VIR_DOMAIN_AFFECT_LIVE
#: The definition as well: what an operator starts with virsh has the same size.
_CONFIG: Final = libvirt.VIR_DOMAIN_AFFECT_CONFIG
#: The guest has been asked, and has refused, or has not answered yet.
_ASKED: Final = (
    libvirt.VIR_ERR_OPERATION_FAILED,
    libvirt.VIR_ERR_OPERATION_TIMEOUT,
    libvirt.VIR_ERR_DEVICE_MISSING,
    # QEMU: the device "is already in the process of unplug".
    libvirt.VIR_ERR_INTERNAL_ERROR,
)


def max_memory(flavor: Flavor) -> MaxMemory | None:
    """What a guest's memory can grow to; None where it cannot."""
    allowed = range_of(flavor)
    if not allowed.slots:
        return None
    return MaxMemory(allowed.most.memory_mb * _KIB, allowed.slots)


def modules(record: InstanceRecord) -> tuple[MemoryModule, ...]:
    """The modules that the record's memory has beside the flavor's own."""
    allowed = range_of(record.flavor)
    return tuple(
        MemoryModule(allowed.module_mb * _KIB, f"{_ALIAS}{number}")
        for number in range(allowed.modules(record.size_now.memory_mb))
    )


def vcpus(record: InstanceRecord, virt_type: str) -> tuple[int, int | None]:
    """All vCPUs that there can be, and how many there are; None for all.

    QEMU 7.2 crashes when it is given a vCPU under TCG: there they are as many as there are.
    """
    now, most = record.size_now.vcpus, range_of(record.flavor).most.vcpus
    if virt_type == VirtType.QEMU or most == record.flavor.vcpus:
        return now, None
    return most, now


def each_vcpu(record: InstanceRecord, virt_type: str) -> tuple[Vcpu, ...]:
    """Those above the flavor's own can be taken away again, also after a start with them."""
    most, now = vcpus(record, virt_type)
    if now is None or virt_type != VirtType.KVM:
        return ()
    own = record.flavor.vcpus
    return tuple(Vcpu(number, number < now, number >= own) for number in range(most))


def cpu(record: InstanceRecord, virt_type: str) -> Cpu | None:
    """The model, and the one NUMA node that memory modules are put into."""
    # TCG has nothing to pass through: its default is as fast as any.
    mode = "host-model" if virt_type == VirtType.KVM else None
    if not range_of(record.flavor).slots:
        return None if mode is None else Cpu(mode)
    most, _ = vcpus(record, virt_type)
    return Cpu(mode, NumaCell(f"0-{most - 1}", record.flavor.memory_mb * _KIB))


def check(domain: libvirt.virDomain, record: InstanceRecord, size: Size, virt_type: str) -> None:
    """Let a guest that runs be given this size.

    Raises:
        Conflict: Its accelerator cannot change vCPUs, or it was started without slots.
    """
    if virt_type == VirtType.QEMU and size.vcpus != record.size_now.vcpus:
        raise Conflict(
            f"Cannot change the vCPUs of instance {record.id} while it runs: its host has no KVM, "
            "and QEMU 7.2 crashes when it is given a vCPU without. Resize the instance instead.",
            "VCPUS_FIXED_WITHOUT_KVM",
            "",
            {"instance": record.id},
        )
    live = Domain.from_text(domain.XMLDesc(0))
    lacks_slots = size.memory_mb != record.size_now.memory_mb and live.max_memory is None
    if lacks_slots or size.vcpus > live.vcpus:
        raise Conflict(
            f"Instance {record.id} was started before its guest could be given another size. Stop "
            "it and start it, and try again.",
            "SIZE_NEEDS_A_START",
            "",
            {"instance": record.id},
        )


def change(domain: libvirt.virDomain, record: InstanceRecord, virt_type: str, *, ask: bool) -> bool:
    """Give what is missing, and ask for what is more than the record says; whether both agree.

    Args:
        domain: It runs.
        record: What it should have.
        virt_type: Of the domain. The test driver cannot change the memory of one that runs.
        ask: Whether to ask the guest (again) for what is too much.
    """
    scopes = (_LIVE, _CONFIG)
    wanted = record.size_now.vcpus
    agrees = True
    for scope in scopes:
        if virt_type != VirtType.QEMU:
            agrees = agrees and _set_vcpus(domain, wanted, scope, ask=ask)
        if virt_type in (VirtType.QEMU, VirtType.KVM):
            agrees = _set_modules(domain, modules(record), scope, ask=ask) and agrees
        if not agrees:
            break  # the definition follows what runs
    return agrees


def size_of(domain: libvirt.virDomain, record: InstanceRecord) -> Size:
    """What a guest that runs has (virDomainGetVcpusFlags, and its memory modules)."""
    allowed = range_of(record.flavor)
    plugged = len(_modules(domain, _LIVE)) * allowed.module_mb
    return Size(vcpus=domain.vcpusFlags(_LIVE), memory_mb=allowed.least.memory_mb + plugged)


def _set_vcpus(domain: libvirt.virDomain, wanted: int, scope: int, *, ask: bool) -> bool:
    there = domain.vcpusFlags(scope)
    if there < wanted:
        domain.setVcpusFlags(wanted, scope)
    elif there > wanted and ask:
        with Tolerate(*_ASKED):
            domain.setVcpusFlags(wanted, scope)
    return bool(domain.vcpusFlags(scope) == wanted)


def _set_modules(
    domain: libvirt.virDomain, wanted: tuple[MemoryModule, ...], scope: int, *, ask: bool
) -> bool:
    there = _modules(domain, scope)
    for module in wanted:
        if module.alias not in there:
            domain.attachDeviceFlags(module.to_text(), scope)
    surplus = sorted(there - {module.alias for module in wanted}, key=_number, reverse=True)
    if ask:
        for alias in surplus:
            with Tolerate(*_ASKED):
                domain.detachDeviceAlias(alias, scope)
    return not _modules(domain, scope).intersection(surplus)


def _modules(domain: libvirt.virDomain, scope: int) -> set[str]:
    flags = libvirt.VIR_DOMAIN_XML_INACTIVE if scope == _CONFIG else 0
    memories = Domain.from_text(domain.XMLDesc(flags)).memories
    return {module.alias for module in memories if module.alias.startswith(_ALIAS)}


def _number(alias: str) -> int:
    return int(alias.removeprefix(_ALIAS))
