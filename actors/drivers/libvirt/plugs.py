"""Disks that a guest is given, and gives back, and that grow, while it runs."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

import libvirt

from actors.drivers.libvirt.device_xml import Disk
from actors.drivers.libvirt.domain_xml import Domain
from actors.drivers.libvirt.domains import Tolerate

#: The definition as well: what an operator starts with virsh has the same disks.
_LIVE_AND_CONFIG: Final = libvirt.VIR_DOMAIN_AFFECT_LIVE | libvirt.VIR_DOMAIN_AFFECT_CONFIG
#: The guest has been asked for the disk, and has not answered yet.
_ASKED: Final = (libvirt.VIR_ERR_OPERATION_FAILED, libvirt.VIR_ERR_DEVICE_MISSING)


def plug(
    domain: libvirt.virDomain,
    wanted: Iterable[Disk],
    ours: Callable[[str], bool],
    let_go: Callable[[], bool],
    *,
    ask: bool,
) -> bool:
    """Plug in what is missing, and ask for what is too much; whether both are as they should be.

    Args:
        domain: It runs.
        wanted: The disks it should have, of those that are ours.
        ours: Whether a file is one that may be unplugged.
        let_go: Has whoever copies the guest's disks let go of them; whether they have.
        ask: Whether to ask the guest (again) for what is too much.
    """
    there = {disk.source: disk for disk in _disks(domain) if ours(disk.source)}
    missing = [disk for disk in wanted if disk.source not in there]
    for disk in missing:
        domain.attachDeviceFlags(disk.to_text(), _LIVE_AND_CONFIG)
    kept = {disk.source for disk in wanted}
    surplus = [disk for source, disk in there.items() if source not in kept]
    if surplus and ask and let_go():
        for disk in surplus:
            with Tolerate(*_ASKED):
                # By its target. Its chain in the live XML is not one that libvirt takes back.
                domain.detachDeviceFlags(replace(disk, backing=None).to_text(), _LIVE_AND_CONFIG)
        gone = {disk.source for disk in _disks(domain)}
        return not any(disk.source in gone for disk in surplus)
    return not surplus


def target_of(domain: libvirt.virDomain, file: Path) -> str | None:
    """What a guest's machine calls the disk that lies in this file; None where it has none."""
    return next((disk.target for disk in _disks(domain) if disk.source == str(file)), None)


def grow(domain: libvirt.virDomain, target: str, size: int) -> None:
    """Make a disk of a guest that runs as large as this, in bytes (virDomainBlockResize).

    The guest hears of it. A disk that is larger stays so.
    """
    if domain.blockInfo(target, 0)[0] < size:
        domain.blockResize(target, size, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES)


def _disks(domain: libvirt.virDomain) -> tuple[Disk, ...]:
    return Domain.from_text(domain.XMLDesc(0)).disks
