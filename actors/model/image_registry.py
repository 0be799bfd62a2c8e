"""All images, and what may be done to them. Pure: the ImageActor has the files and the records."""

from dataclasses import dataclass, field

from actors.model.errors import Conflict, NotFound, QuotaExceeded
from actors.model.ids import ImageId, ProjectId
from actors.model.image import Image, ImageStatus
from actors.model.image_commands import IMAGE_LIMIT


@dataclass(slots=True)
class ImageRegistry:
    """All images by id."""

    images: dict[ImageId, Image] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"{len(self.images)} images"

    def get(self, image: ImageId) -> Image:
        """The image with this id.

        Raises:
            NotFound: There is none.
        """
        if image not in self.images:
            raise NotFound(
                f"Image {image} could not be found.", "IMAGE_NOT_FOUND", "", {"image": image}
            )
        return self.images[image]

    def named(self, image: Image) -> tuple[Image, ...]:
        """The images with bytes that have this one's project and name."""
        return tuple(
            known
            for known in self.images.values()
            if (known.project, known.name) == (image.project, image.name) and known.sha256
        )

    def uses(self, sha256: str) -> bool:
        """Whether any image has this content."""
        return any(image.sha256 == sha256 for image in self.images.values())

    def unfinished(self) -> list[ImageId]:
        """Those of which some bytes have come."""
        return [i.id for i in self.images.values() if i.status is ImageStatus.SAVING]

    def check_quota(self, project: ProjectId) -> None:
        """Whether the project may have one more.

        Raises:
            QuotaExceeded: It has ``IMAGE_LIMIT``.
        """
        if sum(image.project == project for image in self.images.values()) >= IMAGE_LIMIT:
            raise QuotaExceeded(
                f"Project {project} has {IMAGE_LIMIT} images, and may have no more. Delete some.",
                "IMAGE_QUOTA_EXCEEDED",
                metadata={"project": project, "limit": str(IMAGE_LIMIT)},
            )

    def check_free(self, image: Image) -> None:
        """Whether the image may be deleted.

        Raises:
            Conflict: It is protected, or the kernel or ramdisk of another one.
        """
        if image.protected:
            raise Conflict(
                f"Image {image.id} ({image.name}) is protected. Take its protection away first.",
                "IMAGE_PROTECTED",
                metadata={"image": image.id},
            )
        holder = self._holder(image)
        if holder is not None:
            raise Conflict(
                f"Image {image.id} ({image.name}) is the kernel or ramdisk of image {holder.id} "
                f"({holder.name}). Delete that one first.",
                "IMAGE_IN_USE",
                metadata={"image": image.id, "used_by": holder.id},
            )

    def _holder(self, image: Image) -> Image | None:
        """An image that boots with this one as its kernel or ramdisk, if it counts.

        What other projects make of a public kernel for themselves does not keep it.
        """
        return next(
            (
                other
                for other in self.images.values()
                if image.id in (other.kernel_id, other.ramdisk_id)
                and (other.public or other.project == image.project)
            ),
            None,
        )
