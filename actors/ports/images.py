"""Images, as gateway and hosts see them."""

from typing import Protocol

from actors.model.ids import ImageId
from actors.model.image import Image


class Images(Protocol):
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

    async def delete(self, image: ImageId) -> None:
        """Forget the image and its bytes. One that is gone already is no error."""
        ...

    async def read(self, sha256: str, offset: int, length: int) -> bytes:
        """A piece of an image's bytes; empty at the end.

        Raises:
            NotFound: No image has this content.
        """
        ...
