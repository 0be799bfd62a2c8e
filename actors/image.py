"""ImageActor: owns image bytes and their registry.

The bytes lie in one directory, each content once, under its SHA-256; records say which images have
it. Files are handled in threads. What a host makes of an image is not known here.
"""

import asyncio
import logging
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

import ray

from actors.drivers.contents import (
    Incoming,
    content_path,
    full_disk_is_exhausted,
    prepare,
    publish,
    read_piece,
    take_in,
)
from actors.drivers.disk_format import virtual_size
from actors.drivers.uploads import Uploads, wrong_offset
from actors.model.errors import AlreadyExists, Invalid, NotFound, Stale
from actors.model.ids import ImageId
from actors.model.image import Image, ImageStatus
from actors.model.image_commands import ImageChanges
from actors.model.image_registry import ImageRegistry
from actors.ports.clock import Clock
from actors.ports.store import Remove, Store, Table
from actors.store.owner import Owner
from actors.store.tables import put_image

WRITER: Final = "images"
#: Glance's ``image_size_cap``: for the file, and for the disk that a guest sees.
DEFAULT_MAX_BYTES: Final = 1 << 40
#: An upload that got nothing for so long is given up, seconds.
UPLOAD_PATIENCE: Final = 86_400.0

_log = logging.getLogger(__name__)


class ImageActor:
    """Implements ``ports.images.Images`` over a directory of the control node."""

    def __init__(
        self, store: Store, clock: Clock, directory: str, max_bytes: int = DEFAULT_MAX_BYTES
    ) -> None:
        self._store = store
        self._clock = clock
        self._directory = Path(directory)
        self._max_bytes = max_bytes
        self._uploads = Uploads(self._directory, max_bytes)
        self._prepared = False
        #: One change at a time: a file is not removed while an image that has it is registered.
        self._turn = asyncio.Lock()
        #: One piece at a time for each image. Taken before ``_turn``.
        self._writing: WeakValueDictionary[ImageId, asyncio.Lock] = WeakValueDictionary()
        self._owner = Owner(WRITER, store, clock, self._load)

    def __repr__(self) -> str:
        return f"Images({self._directory})"

    @ray.method
    async def images(self) -> tuple[Image, ...]:
        """All images, newest first."""
        async with self._turn:  # what is not durable yet is not shown
            images = (await self._owner.state()).images.values()
            return tuple(sorted(images, key=lambda image: (image.created, image.id), reverse=True))

    @ray.method
    async def register(self, image: Image, path: str) -> Image:
        """Take in a file of the control node. What it claims to be is checked against its bytes.

        Raises:
            Invalid: The file cannot be read, is not what ``disk_format`` says, or refers to others.
            AlreadyExists: The name is taken by other content, or the id by another image.
            Exhausted: The disk is full.
        """
        await self._owner.state()
        incoming = await asyncio.to_thread(take_in, path, self._directory)
        try:
            measured = (await asyncio.to_thread(self._measured, image, incoming)).evolve(
                generation=1
            )
            async with self._turn:
                return await self._register(measured, incoming)
        finally:
            await asyncio.to_thread(incoming.path.unlink, missing_ok=True)

    @ray.method
    async def create(self, image: Image) -> Image:
        """Make an image whose bytes come later (``ports.images.Images``)."""
        async with self._turn:
            registry = await self._owner.state()
            await self._sweep(registry)
            known = registry.images.get(image.id)
            if known is None:
                registry.check_quota(image.project)
                return await self._put(
                    registry, image.evolve(status=ImageStatus.QUEUED, sha256="", generation=1)
                )
            if (known.project, known.disk_format) != (image.project, image.disk_format):
                raise AlreadyExists(f"Image id {image.id} is taken by another image.")
            return known

    @ray.method
    async def write(self, image: ImageId, offset: int, data: bytes) -> int:
        """Append a piece (``ports.images.Images``)."""
        async with self._upload(image):
            found = (await self._owner.state()).get(image)
            if found.status is ImageStatus.ACTIVE:
                if offset >= 0 and offset + len(data) <= found.size:
                    return found.size
                raise wrong_offset(image, offset, found.size)
            if offset < 0:
                raise wrong_offset(image, offset, await self._size(image))
            if found.status is not ImageStatus.SAVING:
                await self._become(image, ImageStatus.SAVING)
            return await asyncio.to_thread(self._uploads.append, image, offset, data)

    @ray.method
    async def upload_offset(self, image: ImageId) -> int:
        """Where the next piece begins (``ports.images.Images``)."""
        found = (await self._owner.state()).get(image)
        if found.status is ImageStatus.ACTIVE:
            return found.size
        return await self._size(image)

    @ray.method
    async def seal(self, image: ImageId, sha256: str | None) -> Image:
        """Measure and check what has come (``ports.images.Images``)."""
        async with self._upload(image):
            found = (await self._owner.state()).get(image)
            if found.status is ImageStatus.ACTIVE:
                _check_sum(found, found.sha256, sha256)
                return found
            try:
                upload = await asyncio.to_thread(self._uploads.measure, image)
                _check_sum(found, upload.sha256, sha256)
                measured = await asyncio.to_thread(self._measured, found, upload)
            except Invalid:
                await asyncio.to_thread(self._uploads.remove, image)
                await self._become(image, ImageStatus.QUEUED)
                raise
            async with self._turn:
                sealed = await self._seal(measured, upload)
            await asyncio.to_thread(self._uploads.remove, image)
            return sealed

    @ray.method
    async def update(self, image: ImageId, changes: ImageChanges, generation: int | None) -> Image:
        """Change what describes an image (``ports.images.Images``)."""
        async with self._turn:
            registry = await self._owner.state()
            found = registry.get(image)
            if generation not in (None, found.generation):
                raise Stale(
                    f"Image {image} has changed since you read it. Read it again and repeat.",
                    "ETAG_MISMATCH",
                    metadata={"image": image},
                )
            changed = changes.applied(found)
            if changed == found:
                return found
            return await self._put(registry, changed.evolve(generation=found.generation + 1))

    @ray.method
    async def delete(self, image: ImageId) -> None:
        """Forget an image; its bytes go with the last image that has them."""
        async with self._upload(image), self._turn:
            registry = await self._owner.state()
            gone = registry.images.get(image)
            if gone is None:
                return
            registry.check_free(gone)
            del registry.images[image]
            await self._owner.commit((), (Remove(Table.IMAGES, image),))
            await asyncio.to_thread(self._uploads.remove, image)
            if gone.sha256 and not registry.uses(gone.sha256):
                path = content_path(self._directory, gone.sha256)
                await asyncio.to_thread(path.unlink, missing_ok=True)

    @ray.method
    async def read(self, sha256: str, offset: int, length: int) -> bytes:
        """A piece of an image's bytes, at most 4 MiB of them; empty at the end.

        Raises:
            Invalid: That is no checksum, or no place in a file.
            NotFound: No image has this content.
        """
        path = content_path(self._directory, sha256)
        if offset < 0 or length < 0:
            raise Invalid("Offset and length must not be negative.")
        if not (await self._owner.state()).uses(sha256):
            raise _not_found(sha256)
        try:
            return await asyncio.to_thread(read_piece, path, offset, length)
        except FileNotFoundError:
            _log.error("images: the bytes of %s are gone from %s", sha256, self._directory)
            raise _not_found(sha256) from None

    async def _register(self, image: Image, incoming: Incoming) -> Image:
        registry = await self._owner.state()
        for known in registry.named(image):
            if (known.sha256, known.disk_format) == (image.sha256, image.disk_format):
                return known
        for known in registry.named(image):
            raise AlreadyExists(
                f"Image name {image.name} is taken by other content. Choose another name, or "
                f"delete image {known.id} first.",
                "IMAGE_NAME_TAKEN",
                metadata={"name": image.name, "image": known.id},
            )
        if image.id in registry.images:
            raise AlreadyExists(f"Image id {image.id} is taken by another image.")
        # First the bytes: an image in the records always has its file.
        final = content_path(self._directory, image.sha256)
        with full_disk_is_exhausted(self._directory):
            await asyncio.to_thread(publish, incoming.path, final)
        return await self._put(registry, image)

    async def _seal(self, measured: Image, upload: Incoming) -> Image:
        registry = await self._owner.state()
        # Its name or properties may have changed while it was measured.
        found = registry.get(measured.id)
        # First the bytes, as in ``_register``. The upload stays until the record says so, too:
        # after a crash in between the image is sealed anew.
        final = content_path(self._directory, measured.sha256)
        with full_disk_is_exhausted(self._directory):
            await asyncio.to_thread(self._uploads.publish, upload, final)
        return await self._put(
            registry,
            found.evolve(
                status=measured.status,
                size=measured.size,
                sha256=measured.sha256,
                virtual_size=measured.virtual_size,
                generation=found.generation + 1,
            ),
        )

    async def _become(self, image: ImageId, status: ImageStatus) -> None:
        async with self._turn:
            registry = await self._owner.state()
            found = registry.get(image)
            if found.status is not status:
                await self._put(
                    registry, found.evolve(status=status, generation=found.generation + 1)
                )

    async def _put(self, registry: ImageRegistry, image: Image) -> Image:
        registry.images[image.id] = image
        await self._owner.commit((put_image(image),))
        return image

    def _upload(self, image: ImageId) -> asyncio.Lock:
        return self._writing.setdefault(image, asyncio.Lock())

    async def _size(self, image: ImageId) -> int:
        return await asyncio.to_thread(self._uploads.size, image)

    def _measured(self, image: Image, incoming: Incoming) -> Image:
        return image.evolve(
            status=ImageStatus.ACTIVE,
            size=incoming.size,
            sha256=incoming.sha256,
            virtual_size=virtual_size(incoming.path, image.disk_format, self._max_bytes),
        )

    async def _load(self) -> ImageRegistry:
        bodies = await self._store.load(Table.IMAGES)
        images = map(Image.model_validate_json, bodies)
        registry = ImageRegistry({image.id: image for image in images})
        if not self._prepared:
            await asyncio.to_thread(self._prepare, registry)
            self._prepared = True
        return registry

    def _prepare(self, registry: ImageRegistry) -> None:
        prepare(self._directory)
        for image in self._abandoned(registry):
            self._uploads.remove(image)
        # Files without a record stay: they may be all that is left after a loss of the records.
        names = (file.name for file in self._directory.iterdir())
        strays = [name for name in names if name[0] != "." and not registry.uses(name)]
        if strays:
            _log.warning("images: %d files belong to no image: %s", len(strays), strays[:5])

    async def _sweep(self, registry: ImageRegistry) -> None:
        """Make room: whoever begins an upload takes away those that were given up."""
        for image in await asyncio.to_thread(self._abandoned, registry):
            if not self._upload(image).locked():
                _log.info("images: the upload of %s was given up", image)
                await asyncio.to_thread(self._uploads.remove, image)

    def _abandoned(self, registry: ImageRegistry) -> list[ImageId]:
        unfinished = registry.unfinished()
        before = self._clock.now().timestamp() - UPLOAD_PATIENCE
        return list(self._uploads.abandoned(unfinished, before))


def _check_sum(image: Image, sha256: str, wanted: str | None) -> None:
    if wanted is not None and wanted != sha256:
        raise Invalid(
            f"What has come of image {image.id} has the checksum {sha256}, not {wanted}. Upload "
            "it again.",
            "UPLOAD_CHECKSUM_MISMATCH",
            metadata={"sha256": f"is not {sha256}"},
        )


def _not_found(sha256: str) -> NotFound:
    return NotFound(f"No image has the content {sha256}.", "IMAGE_NOT_FOUND")
