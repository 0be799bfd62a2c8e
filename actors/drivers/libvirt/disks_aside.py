"""Disks put aside for as long as an operation may still turn back.

They lie in a folder beside their places, which has the operation's number in its name. While some
are still on their way, in or out, its name ends in ``.part``: then whatever has a disk's name in
its place is the old one. So each of these, cut off anywhere, goes on where it stopped.
"""

from pathlib import Path

from actors.drivers.libvirt.settle import sync

#: What belongs to a guest's disks: the root disk, ephemeral and swap, and what UEFI keeps.
_DISKS = ("disk.*", "nvram.*")


def put_aside(folder: Path, sequence: int) -> None:
    """Keep the disks of an instance's folder for this operation. Done twice, it does nothing."""
    if are_aside(folder, sequence):
        return
    aside = aside_of(folder, sequence)
    part = _part(aside)
    part.mkdir(mode=0o700, parents=True, exist_ok=True)
    for disk in disks_of(folder):
        disk.rename(part / disk.name)
    sync(part)
    part.rename(aside)
    sync(folder)


def are_aside(folder: Path, sequence: int) -> bool:
    """Whether all of them are kept for this operation."""
    return aside_of(folder, sequence).exists()


def put_back(folder: Path, sequence: int) -> None:
    """Put them in their places again; what lies there by now is removed."""
    aside = aside_of(folder, sequence)
    part = _part(aside)
    if aside.exists():
        for disk in disks_of(folder):
            disk.unlink()
        aside.rename(part)
        sync(folder)
    if part.exists():
        for disk in disks_of(part):
            disk.rename(folder / disk.name)
        sync(folder)
        part.rmdir()


def forget(folder: Path, sequence: int) -> None:
    """Remove them."""
    aside = aside_of(folder, sequence)
    if aside.exists():
        for disk in disks_of(aside):
            disk.unlink()
        aside.rmdir()


def aside_of(folder: Path, sequence: int) -> Path:
    """Where they are kept."""
    return folder / f"old-{sequence}"


def _part(aside: Path) -> Path:
    return aside.with_name(f"{aside.name}.part")


def disks_of(folder: Path) -> list[Path]:
    """What belongs to a guest's disks in this folder."""
    return sorted(path for pattern in _DISKS for path in folder.glob(pattern))
