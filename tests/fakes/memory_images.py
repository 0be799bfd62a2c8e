"""``ports.images.Images`` in memory. Bytes are not looked into: only their number and checksum."""

from hashlib import sha256

from actors.model.errors import AlreadyExists, Conflict, Invalid, NotFound, Stale
from actors.model.ids import ImageId
from actors.model.image import Image, ImageStatus
from actors.model.image_commands import ImageChanges
from tests.fakes.memory_port import MemoryPort, Switches


class MemoryImages(MemoryPort):
    """Shares its records with the catalog."""

    def __init__(self, compute: Switches, images: list[Image]) -> None:
        super().__init__(compute)
        self.all_images = images
        self.uploads: dict[ImageId, bytes] = {}
        self.contents: dict[str, bytes] = {}

    def _find(self, image: ImageId) -> Image:
        for one in self.all_images:
            if one.id == image:
                return one
        raise NotFound("An actor's own words.", "IMAGE_NOT_FOUND", "", {"image": image})

    def _put(self, image: Image) -> Image:
        image = image.evolve(generation=image.generation + 1)
        at = next(at for at, one in enumerate(self.all_images) if one.id == image.id)
        self.all_images[at] = image
        return image

    async def images(self) -> tuple[Image, ...]:
        await self._called("images")
        return tuple(self.all_images)

    async def register(self, image: Image, path: str) -> Image:
        raise NotImplementedError("the gateway registers no files")

    async def create(self, image: Image) -> Image:
        await self._called("create_image")
        for one in self.all_images:
            if one.id == image.id:
                if one.disk_format is not image.disk_format:
                    raise AlreadyExists(f"Image id {image.id} is taken by another image.")
                return one
        self.all_images.insert(0, image)
        return image

    async def write(self, image: ImageId, offset: int, data: bytes) -> int:
        await self._called("write")
        found, held = self._find(image), self.uploads.get(image, b"")
        if offset != len(held):
            raise Conflict(
                "Not the next piece.", "UPLOAD_OFFSET", metadata={"offset": str(len(held))}
            )
        if found.status is not ImageStatus.SAVING:
            self._put(found.evolve(status=ImageStatus.SAVING))
        self.uploads[image] = held + data
        return offset + len(data)

    async def upload_offset(self, image: ImageId) -> int:
        await self._called("upload_offset")
        found = self._find(image)
        active = found.status is ImageStatus.ACTIVE
        return found.size if active else len(self.uploads.get(image, b""))

    async def seal(self, image: ImageId, sha256: str | None) -> Image:
        await self._called("seal")
        found = self._find(image)
        if found.status is ImageStatus.ACTIVE:
            return found
        data = self.uploads.pop(image)
        digest = _digest(data)
        if sha256 not in (None, digest):
            self._put(found.evolve(status=ImageStatus.QUEUED))
            raise Invalid(
                "Not those bytes.", "UPLOAD_CHECKSUM_MISMATCH", metadata={"sha256": "is another"}
            )
        self.contents[digest] = data
        return self._put(found.evolve(status=ImageStatus.ACTIVE, sha256=digest, size=len(data)))

    async def update(self, image: ImageId, changes: ImageChanges, generation: int | None) -> Image:
        await self._called("update_image")
        found = self._find(image)
        if generation not in (None, found.generation):
            raise Stale(f"Image {image} has changed since.", "", "", {"image": image})
        return self._put(changes.applied(found))

    async def delete(self, image: ImageId) -> None:
        await self._called("delete_image")
        found = self._find(image)
        if found.protected:
            raise Conflict("It is protected.", "IMAGE_PROTECTED", metadata={"image": image})
        self.all_images.remove(found)

    async def read(self, sha256: str, offset: int, length: int) -> bytes:
        await self._called("read")
        return self.contents[sha256][offset : offset + length]


def _digest(data: bytes) -> str:
    return sha256(data).hexdigest()
