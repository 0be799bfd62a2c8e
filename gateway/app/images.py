"""Images: who may see and change which, and how their bytes come and go."""

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from actors.model.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable
from actors.model.identity import Principal, Role
from actors.model.ids import ImageId, ProjectId
from actors.model.image import DiskFormat, Image, ImageStatus
from actors.model.image_commands import CreateImage, ImageChanges
from actors.ports.images import Images
from gateway.app.auth import is_admin, need_role
from gateway.app.catalog import CatalogCases
from gateway.app.filters import parse_filter
from gateway.app.pages import Listed, Pager, PageRequest, page_of
from gateway.app.tokens import Signer

#: What goes to the image actor, and comes from it, at once.
PIECE: Final = 4 * 1024 * 1024
#: What goes to a client at once: gRPC's clients take 4 MiB in one message.
MESSAGE: Final = 1024 * 1024
#: Uploads and downloads under way at one gateway: each holds up to two pieces in memory.
MAX_TRANSFERS: Final = 64
#: Of these, one project's.
MAX_PROJECT_TRANSFERS: Final = 16

Value = TypeVar("Value")

_VISIBILITY: Final = {"public": True, "private": False}


@dataclass(frozen=True, slots=True)
class UploadStart:
    """What a stream brings; nothing of it is checked yet."""

    image: ImageId
    #: Where the stream begins, and how many bytes the whole image has.
    offset: int
    size: int
    sha256: str


class ImageCases:
    """What can be asked of images."""

    def __init__(
        self,
        images: Images,
        catalog: CatalogCases,
        signer: Signer,
        now: Callable[[], datetime],
    ) -> None:
        self._images = images
        self._catalog = catalog
        self._signer = signer
        self._now = now
        self._transfers: Counter[ProjectId] = Counter()

    async def get(self, caller: Principal, image: ImageId) -> tuple[Image, int]:
        """One image, and how many of its bytes have come.

        Raises:
            NotFound: No such image, or it is not for the caller.
        """
        found = await self._catalog.image(caller, image)
        if found.status is ImageStatus.ACTIVE:
            return found, found.size
        return found, await self._images.upload_offset(image)

    async def list(
        self, caller: Principal, filter_text: str, request: PageRequest
    ) -> Listed[Image]:
        """The images the caller may use, newest first.

        Raises:
            Invalid: The page request or the filter is wrong.
        """
        wanted = _condition(filter_text)
        return page_of(
            (image for image in await self._catalog.images(caller) if wanted(image)),
            lambda image: (-int(image.created.timestamp() * 1_000_000), image.id),
            Pager(self._signer, "images", caller.project, filter_text),
            request,
        )

    async def create(self, caller: Principal, command: CreateImage) -> Image:
        """Make an image without bytes; durable when it returns. The same id makes it once.

        Raises:
            Forbidden: A reader; or a public image, by somebody who is no admin.
            Invalid: Its kernel or ramdisk is not there, or is none.
            AlreadyExists: The id belongs to another image.
            QuotaExceeded: The project has as many images as one may have.
        """
        need_role(caller, Role.MEMBER)
        if command.public:
            need_role(caller, Role.ADMIN)
        await self._check_companions(caller, command.kernel_id, command.ramdisk_id)
        made = await self._images.create(command.image(self._now()))
        self._catalog.forget_images()
        return made

    async def upload(
        self, caller: Principal, start: UploadStart, data: AsyncIterator[bytes]
    ) -> tuple[Image, int]:
        """Take in what a stream brings, and check the image if that was all of it.

        Returns:
            The image, and how many of its bytes have come: it is ACTIVE where all have.

        Raises:
            NotFound: No such image, or it is not for the caller.
            Forbidden: A reader, or another project's image.
            Invalid: The stream does not fit its start, or the bytes are refused: see
                ``Images.seal``.
            Conflict: The stream does not begin where the bytes that have come end.
            Unavailable: Too many transfers are under way.
        """
        await self._changeable(caller, start.image)
        _check_start(start)
        try:
            with self._transfer(caller):
                end = await self._write(start, data)
            arrived = await self._images.upload_offset(start.image)
            if end == arrived == start.size:
                return await self._images.seal(start.image, start.sha256 or None), arrived
        finally:
            self._catalog.forget_images()
        return await self._catalog.image(caller, start.image), arrived

    async def _write(self, start: UploadStart, data: AsyncIterator[bytes]) -> int:
        """Pass on what comes; where it ends."""
        offset = start.offset
        async for piece in _pieces(data):
            if offset + len(piece) > start.size:
                raise _wrong_size(start, offset + len(piece))
            await self._images.write(start.image, offset, piece)
            offset += len(piece)
        return offset

    async def download(
        self, caller: Principal, image: ImageId, offset: int
    ) -> AsyncGenerator[bytes, None]:
        """The bytes of an image from an offset on, in parts of at most ``MESSAGE`` bytes.

        Raises:
            NotFound: No such image, or it is not for the caller; or it was deleted meanwhile.
            Conflict: Not all of its bytes have come.
            Invalid: There is no such offset.
            Unavailable: Too many transfers are under way.
        """
        found = await self._catalog.image(caller, image)
        if found.status is not ImageStatus.ACTIVE:
            raise Conflict(
                f"Image {image} is {found.status.value}; only an active image has bytes.",
                "IMAGE_HAS_NO_BYTES",
                metadata={"image": image},
            )
        if not 0 <= offset <= found.size:
            raise _invalid("offset", f"must be from 0 to {found.size}")
        with self._transfer(caller):
            while piece := await self._images.read(found.sha256, offset, PIECE):
                for at in range(0, len(piece), MESSAGE):
                    yield piece[at : at + MESSAGE]
                offset += len(piece)

    async def update(
        self, caller: Principal, image: ImageId, changes: ImageChanges, generation: int | None
    ) -> Image:
        """Change what describes an image; durable when it returns.

        Raises:
            NotFound: No such image, or it is not for the caller.
            Forbidden: A reader; another project's image; or to make it public, by somebody who is
                no admin.
            Invalid: Its new kernel or ramdisk is not there, or is none.
            Stale: It is not what the caller saw.
        """
        found = await self._changeable(caller, image)
        if changes.public and not found.public:
            need_role(caller, Role.ADMIN)
        await self._check_companions(caller, changes.kernel_id, changes.ramdisk_id)
        changed = await self._images.update(image, changes, generation)
        self._catalog.forget_images()
        return changed

    async def delete(self, caller: Principal, image: ImageId) -> None:
        """Forget an image; durable when it returns.

        Raises:
            NotFound: No such image, or it is not for the caller.
            Forbidden: A reader, or another project's image.
            Conflict: It is protected, or the kernel or ramdisk of others.
        """
        await self._changeable(caller, image)
        await self._images.delete(image)
        self._catalog.forget_images()

    async def _changeable(self, caller: Principal, image: ImageId) -> Image:
        found = await self._catalog.image(caller, image)
        need_role(caller, Role.MEMBER)
        if found.project != caller.project and not is_admin(caller):
            raise Forbidden(
                f"Image {image} belongs to another project, which alone may change it.",
                "IMAGE_NOT_OWNED",
                metadata={"image": image},
            )
        return found

    async def _check_companions(
        self, caller: Principal, kernel: ImageId | None, ramdisk: ImageId | None
    ) -> None:
        for field, wanted, form in (
            ("image.kernel", kernel, DiskFormat.AKI),
            ("image.ramdisk", ramdisk, DiskFormat.ARI),
        ):
            if not wanted:
                continue
            try:
                found = await self._catalog.image(caller, wanted)
            except NotFound as error:
                raise Invalid(
                    error.message, error.reason, "", {field: "could not be found"}
                ) from None
            if found.disk_format is not form:
                raise _invalid(field, f"must be an image of the format {form.value}")

    @contextmanager
    def _transfer(self, caller: Principal) -> Iterator[None]:
        project = caller.project
        if (
            self._transfers.total() >= MAX_TRANSFERS
            or self._transfers[project] >= MAX_PROJECT_TRANSFERS
        ):
            raise Unavailable(
                "Too many images are being uploaded or downloaded. Try again later.",
                "TOO_MANY_TRANSFERS",
            )
        self._transfers[project] += 1
        try:
            yield
        finally:
            self._transfers[project] -= 1
            if not self._transfers[project]:
                del self._transfers[project]


async def _pieces(data: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in pieces for the actor: never more than one of them is held here."""
    held = bytearray()
    async for part in data:
        held += part
        while len(held) >= PIECE:
            yield bytes(held[:PIECE])
            del held[:PIECE]
    if held:
        yield bytes(held)


def _check_start(start: UploadStart) -> None:
    if start.size < 1:
        raise _invalid("start.size_bytes", "must be 1 or more")
    if not 0 <= start.offset <= start.size:
        raise _invalid("start.offset", f"must be from 0 to {start.size}")
    if start.sha256 and not (
        len(start.sha256) == 64 and set(start.sha256) <= set("0123456789abcdef")
    ):
        raise _invalid("start.sha256", "must be 64 hexadecimal digits in lower case")


def _wrong_size(start: UploadStart, offset: int) -> Invalid:
    return _invalid("start.size_bytes", f"is {start.size}, but at least {offset} bytes came")


def _invalid(field: str, problem: str) -> Invalid:
    return Invalid(f"The field {field} {problem}.", "FIELD_INVALID", "", {field: problem})


def _condition(filter_text: str) -> Callable[[Image], bool]:
    wanted = parse_filter(filter_text, ("display_name", "state", "visibility", "project"))
    public = _known("visibility", wanted.get("visibility"), _VISIBILITY)
    states = {status.name: status for status in ImageStatus}
    status = _known("state", wanted.get("state"), states)

    def matches(image: Image) -> bool:
        return (
            wanted.get("display_name") in (None, image.name)
            and wanted.get("project") in (None, image.project)
            and public in (None, image.public)
            and status in (None, image.status)
        )

    return matches


def _known(field: str, text: str | None, values: Mapping[str, Value]) -> Value | None:
    if text is None:
        return None
    if text not in values:
        known = ", ".join(values)
        raise Invalid(
            f"The filter cannot be read: {text[:40]} is no {field}. There are {known}.",
            "FILTER_INVALID",
            "",
            {"filter": f"{field} must be one of {known}"},
        )
    return values[text]
