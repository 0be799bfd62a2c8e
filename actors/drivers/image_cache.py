"""The host's copies of image bytes: fetched once, checked, shared by every disk that needs them.

A file in the cache is complete and has been checked against its SHA-256, which is also its name.
What is under way lies beside it as ``.<sha256>.part``, and goes on where it stopped after a crash.
"""

import asyncio
import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from actors.drivers.cache_sweep import GOING, backing_files, contents_of, is_stale
from actors.drivers.contents import CHUNK, content_path, full_disk_is_exhausted, publish
from actors.drivers.part_file import PartFile
from actors.model.errors import ComputeError, HypervisorRefused, NotFound, Unavailable
from actors.model.image import BootFile, BootSource
from actors.ports.hypervisor import BootFiles
from actors.ports.images import ImageBytes

_log = logging.getLogger(__name__)


class ImageCache:
    """One directory of one host."""

    def __init__(self, directory: Path, images: ImageBytes) -> None:
        self._directory = directory
        self._images = images
        #: The download of each content that is under way: everybody who needs it waits for the one.
        self._downloads: dict[str, asyncio.Task[Path]] = {}

    def __repr__(self) -> str:
        return f"ImageCache({self._directory}, {len(self._downloads)} downloads)"

    async def ensure(self, source: BootSource) -> BootFiles:
        """All files that an instance boots from, on this host.

        Raises:
            NotFound: An image is gone (``IMAGE_NOT_FOUND``).
            HypervisorRefused: What came is not what was registered (``IMAGE_CHECKSUM_MISMATCH``).
            Exhausted: The host's disk is full (``DISK_FULL``).
            Unavailable: The image actor is away. What has come so far is kept.
        """
        return BootFiles(
            disk=await self._file(source.disk),
            kernel=await self._file(source.kernel) if source.kernel else None,
            ramdisk=await self._file(source.ramdisk) if source.ramdisk else None,
        )

    async def disk(self, source: BootSource) -> Path:
        """The disk image alone, on this host. Raises as ``ensure``."""
        return await self._file(source.disk)

    async def sweep(
        self, sources: Iterable[BootSource], folder: Path, now: float, age: float
    ) -> None:
        """Remove what nobody on this host has used for ``age`` seconds, and downloads given up.

        Args:
            sources: What the instances of this host boot from.
            folder: Where their disks are, at any depth: a file that one lies on stays.
            now: Unix time.
            age: Seconds.
        """
        if not self._directory.is_dir():
            return
        used = contents_of(sources) | await asyncio.to_thread(
            backing_files, folder, self._directory
        )
        going = []
        for path in list(self._directory.iterdir()):
            # Without a thread: whoever asks for a file finds it used a moment ago, or gone.
            with suppress(FileNotFoundError):
                if is_stale(path, used, now, age):
                    hidden = path.with_name(f"{GOING}{path.name.removeprefix(GOING)}")
                    going.append(path.rename(hidden))
        for path in going:
            await asyncio.to_thread(path.unlink, missing_ok=True)
        if going:
            _log.info("images: %d unused files are gone from %s", len(going), self._directory)

    async def _file(self, file: BootFile) -> Path:
        path = content_path(self._directory, file.sha256)
        # Looked at without a thread: it is asked for at every step of a boot, and is local.
        if _is_complete(path, file.size):
            os.utime(path)  # what is used is not swept
            return path
        download = self._downloads.get(file.sha256)
        if download is None:
            download = asyncio.create_task(self._download(file, path), name=f"fetch {file.sha256}")
            self._downloads[file.sha256] = download
            download.add_done_callback(lambda _: self._downloads.pop(file.sha256, None))
        # Shielded: one boot that is cancelled does not take the image from the others.
        return await asyncio.shield(download)

    async def _download(self, file: BootFile, path: Path) -> Path:
        name = self._directory / f".{file.sha256}.part"
        try:
            with _disk_errors(self._directory):
                while not await self._fetch(file, name, path):
                    pass
        except Unavailable:
            raise  # what has come is kept, and the next one goes on there
        except ComputeError:
            with suppress(OSError):
                await asyncio.to_thread(name.unlink, missing_ok=True)
            raise
        _log.info("image %s is here: %d bytes, %s", file.image, file.size, file.sha256)
        return path

    async def _fetch(self, file: BootFile, name: Path, path: Path) -> bool:
        """Fetch what is missing; False where what lay there from before has spoilt it."""
        part = await asyncio.to_thread(PartFile, name)
        begun_before = part.size > 0
        try:
            while part.size < file.size:
                piece = await self._piece(file, part.size)
                if not piece:
                    break
                await asyncio.to_thread(part.append, piece)
            if await asyncio.to_thread(part.finish) == file.sha256:
                # Still under the lock: nobody else publishes this part.
                await asyncio.to_thread(publish, name, path)
                return True
            await asyncio.to_thread(name.unlink, missing_ok=True)
        finally:
            part.close()
        if begun_before:
            return False
        raise HypervisorRefused(
            f"Image {file.image} did not reach the host unharmed. Register it again.",
            "IMAGE_CHECKSUM_MISMATCH",
            f"{part.size} of {file.size} bytes came, not with the checksum {file.sha256}",
            {"image": file.image},
        )

    async def _piece(self, file: BootFile, offset: int) -> bytes:
        try:
            return await self._images.read(file.sha256, offset, min(CHUNK, file.size - offset))
        except NotFound as error:
            raise NotFound(
                f"Image {file.image} could not be found: it was deleted.",
                "IMAGE_NOT_FOUND",
                str(error),
                {"image": file.image},
            ) from None


def _is_complete(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except FileNotFoundError:
        return False


@contextmanager
def _disk_errors(directory: Path) -> Iterator[None]:
    try:
        with full_disk_is_exhausted(directory):
            yield
    except OSError as error:
        raise HypervisorRefused(
            "The host cannot keep images on its disk.",
            "IMAGE_CACHE_FAILED",
            f"{directory}: {error}",
        ) from error
