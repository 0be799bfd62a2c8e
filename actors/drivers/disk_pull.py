"""Brings an instance's disks from the host it was on. What has come stays, also over a crash."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from actors.drivers.contents import CHUNK
from actors.drivers.part_file import PartFile
from actors.model.errors import HypervisorRefused
from actors.model.ids import InstanceId
from actors.ports.host import DiskFile, Host


async def pull(
    host: Host, instance: InstanceId, folder: Path, check: Callable[[], None]
) -> tuple[Path, ...]:
    """Bring all disks of an instance into a folder of this host, each checked by its SHA-256.

    Args:
        host: Where they are. Nothing runs on them there.
        instance: Whose.
        folder: Where to. What is there already, and whole, does not come again.
        check: Called before each piece of 4 MiB; what it raises ends the pull.

    Raises:
        HypervisorRefused: What came is not what is there (``DISK_TRANSFER_FAILED``).
        Unavailable: The host is away, or another process of this one pulls.
        OSError: This host's filesystem says no.
    """
    files = await host.disk_files(instance)
    return tuple([await _pull(host, instance, file, folder, check) for file in files])


async def _pull(
    host: Host, instance: InstanceId, file: DiskFile, folder: Path, check: Callable[[], None]
) -> Path:
    path = folder / file.name
    if path.exists():
        return path
    name = folder / f".{file.sha256}.part"
    part = await asyncio.to_thread(PartFile, name)
    try:
        while part.size < file.size:
            check()
            piece = await host.read_disk(
                instance, file.name, part.size, min(CHUNK, file.size - part.size)
            )
            if not piece:
                break
            await asyncio.to_thread(part.append, piece)
        if await asyncio.to_thread(part.finish) == file.sha256:
            await asyncio.to_thread(name.replace, path)
            return path
        # Not the next try's to go on with.
        await asyncio.to_thread(name.unlink)
    finally:
        part.close()
    raise HypervisorRefused(
        f"A disk of instance {instance} did not reach its new host unharmed. Try again.",
        "DISK_TRANSFER_FAILED",
        f"{file}: {part.size} bytes came",
        {"instance": instance},
    )
