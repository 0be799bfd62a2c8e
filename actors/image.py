"""ImageActor: owns image bytes and their registry.

The bytes lie in one directory, each content once, under its SHA-256; records say which images have
it. Files are handled in threads. What a host makes of an image is not known here.
"""

import asyncio
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

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
from actors.model.errors import AlreadyExists, Invalid, NotFound
from actors.model.ids import ImageId
from actors.model.image import Image, ImageStatus
from actors.ports.clock import Clock
from actors.ports.store import Remove, Store, Table
from actors.store.owner import Owner
from actors.store.tables import put_image

WRITER: Final = "images"

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Registry:
    """All images by id."""

    images: dict[ImageId, Image] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"{len(self.images)} images"

    def named(self, image: Image) -> Image | None:
        """The image of this project that has this name."""
        wanted = (image.project, image.name)
        return next((i for i in self.images.values() if (i.project, i.name) == wanted), None)

    def uses(self, sha256: str) -> bool:
        """Whether any image has this content."""
        return any(image.sha256 == sha256 for image in self.images.values())


class ImageActor:
    """Implements ``ports.images.Images`` over a directory of the control node."""

    def __init__(self, store: Store, clock: Clock, directory: str) -> None:
        self._store = store
        self._directory = Path(directory)
        self._prepared = False
        #: One change at a time: a file is not removed while an image that has it is registered.
        self._turn = asyncio.Lock()
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
            measured = await asyncio.to_thread(_measured, image, incoming)
            async with self._turn:
                return await self._register(measured, incoming)
        finally:
            await asyncio.to_thread(incoming.path.unlink, missing_ok=True)

    @ray.method
    async def delete(self, image: ImageId) -> None:
        """Forget an image; its bytes go with the last image that has them."""
        async with self._turn:
            registry = await self._owner.state()
            gone = registry.images.pop(image, None)
            if gone is None:
                return
            await self._owner.commit((), (Remove(Table.IMAGES, image),))
            if not registry.uses(gone.sha256):
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
        known = registry.named(image)
        if known is not None:
            if (known.sha256, known.disk_format) == (image.sha256, image.disk_format):
                return known
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
        registry.images[image.id] = image
        await self._owner.commit((put_image(image),))
        return image

    async def _load(self) -> _Registry:
        bodies = await self._store.load(Table.IMAGES)
        images = map(Image.model_validate_json, bodies)
        registry = _Registry({image.id: image for image in images})
        if not self._prepared:
            await asyncio.to_thread(self._prepare, registry)
            self._prepared = True
        return registry

    def _prepare(self, registry: _Registry) -> None:
        prepare(self._directory)
        # Files without a record stay: they may be all that is left after a loss of the records.
        strays = [file.name for file in self._directory.iterdir() if not registry.uses(file.name)]
        if strays:
            _log.warning("images: %d files belong to no image: %s", len(strays), strays[:5])


def _measured(image: Image, incoming: Incoming) -> Image:
    return image.evolve(
        status=ImageStatus.ACTIVE,
        size=incoming.size,
        sha256=incoming.sha256,
        virtual_size=virtual_size(incoming.path, image.disk_format),
        generation=1,
    )


def _not_found(sha256: str) -> NotFound:
    return NotFound(f"No image has the content {sha256}.", "IMAGE_NOT_FOUND")
