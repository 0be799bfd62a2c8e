"""Images, as gateway and hosts see them."""

from typing import Protocol

from actors.model.ids import ImageId
from actors.model.image import Image
from actors.model.image_commands import ImageChanges


class ImageBytes(Protocol):
    """The bytes, as a host fetches them."""

    async def read(self, sha256: str, offset: int, length: int) -> bytes:
        """A piece of an image's bytes; empty at the end.

        Raises:
            NotFound: No image has this content.
        """
        ...


class Images(ImageBytes, Protocol):
    """The registry and the bytes."""

    async def images(self) -> tuple[Image, ...]:
        """All images, newest first."""
        ...

    async def register(self, image: Image, path: str) -> Image:
        """Take in a file of the control node, by content: size and sha256 are measured here.

        Registering the same name with the same content again returns the image that exists.

        Raises:
            Invalid: The file is not what ``disk_format`` says.
            AlreadyExists: The name is taken by other content.
            Exhausted: The disk is full.
        """
        ...

    async def create(self, image: Image) -> Image:
        """Make an image without bytes, QUEUED. The same id again returns the image that exists.

        Several images of a project may have one name, as in Glance.

        Raises:
            AlreadyExists: The id belongs to another image.
            QuotaExceeded: The project has as many images as one may have.
        """
        ...

    async def write(self, image: ImageId, offset: int, data: bytes) -> int:
        """Append a piece of at most 4 MiB; on disk when it returns. Where the next one begins.

        A piece that has come already is accepted and changes nothing. The image is SAVING.

        Raises:
            NotFound: No such image: it was deleted.
            Conflict: The piece does not begin where the last one ended (``UPLOAD_OFFSET``, whose
                metadata say where), or the image is complete.
            TooLarge: The image would be larger than images may be.
            Exhausted: The disk is full. What has come stays.
        """
        ...

    async def upload_offset(self, image: ImageId) -> int:
        """How many bytes have come: where the next piece begins.

        Raises:
            NotFound: No such image.
        """
        ...

    async def seal(self, image: ImageId, sha256: str | None) -> Image:
        """All pieces have come: measure and check them. From now on the image is ACTIVE.

        Asked again, the same. Bytes that are refused are gone, and the image is QUEUED.

        Raises:
            NotFound: No such image.
            Invalid: The bytes are not those of this checksum (``UPLOAD_CHECKSUM_MISMATCH``), or not
                what ``disk_format`` says, or not safe to open (``IMAGE_FORMAT``).
        """
        ...

    async def update(self, image: ImageId, changes: ImageChanges, generation: int | None) -> Image:
        """Change what describes an image; never its bytes.

        Raises:
            NotFound: No such image.
            Stale: It is not of this generation.
        """
        ...

    async def delete(self, image: ImageId) -> None:
        """Forget the image and its bytes. One that is gone already is no error.

        Raises:
            Conflict: It is protected, or the kernel or ramdisk of others.
        """
        ...
