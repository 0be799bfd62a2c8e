"""A guest's disk as an image: copied on its host, then sent to the images in pieces."""

import hashlib
from collections.abc import Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Final

from actors.drivers.acts import Act, Worker
from actors.drivers.lanes import Lane
from actors.model.details import Snapshot
from actors.model.errors import Internal
from actors.ports.clock import Clock
from actors.ports.host import HostJob, HostStep
from actors.ports.hypervisor import Hypervisor
from actors.ports.images import Images

#: Between two looks at a copy that is being made: at first, and at most.
_FIRST_PAUSE_SECONDS: Final = 0.02
_LONGEST_PAUSE_SECONDS: Final = 1.0
_PIECE: Final = 4 << 20


class CopyWork(Worker):
    """Does the steps of an image from an instance. Each goes on where it was cut off."""

    def __init__(
        self, hypervisor: Hypervisor, images: Images, threads: Executor, clock: Clock
    ) -> None:
        super().__init__(threads)
        self._hypervisor = hypervisor
        self._images = images
        self._clock = clock

    def acts(self) -> Mapping[HostStep, Act]:
        """Its steps."""
        return {
            HostStep.COPY_DISK: self._copy,
            HostStep.UPLOAD_COPY: self._upload,
            HostStep.REMOVE_COPY: self._remove,
        }

    async def _copy(self, job: HostJob, lane: Lane) -> None:
        instance = job.instance.id
        pause = _FIRST_PAUSE_SECONDS
        await self._blocking(lambda: self._hypervisor.begin_copy(job.instance, job.sequence))
        while not await self._blocking(lambda: self._hypervisor.copy_done(instance, job.sequence)):
            lane.check(instance, job.sequence)
            await self._clock.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def _upload(self, job: HostJob, lane: Lane) -> None:
        details = job.details
        if not isinstance(details, Snapshot):
            raise Internal("The operation does not say which image it makes.", "INTERNAL", job.saga)
        path = self._hypervisor.copy_path(job.instance.id, job.sequence)
        digest = await self._blocking(lambda: _checksum(path))
        offset = await self._images.upload_offset(details.image)
        while piece := await self._blocking(lambda at=offset: _piece(path, at)):  # type: ignore[misc]
            lane.check(job.instance.id, job.sequence)
            offset = await self._images.write(details.image, offset, piece)
        await self._images.seal(details.image, digest)

    async def _remove(self, job: HostJob, _: Lane) -> None:
        await self._blocking(lambda: self._hypervisor.end_copy(job.instance.id, job.sequence))


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _piece(path: Path, offset: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(_PIECE)
