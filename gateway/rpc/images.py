"""ImageService."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Final

from google.protobuf.empty_pb2 import Empty

from actors.model.errors import Expired, Invalid
from gateway.app.images import ImageCases, UploadStart
from gateway.app.instances import request_id_of
from gateway.app.pages import PageRequest
from gateway.rpc.call import Context, caller, request_id_or_own
from gateway.rpc.names import generation_of, image_of
from gateway.rpc.replies import fitting
from gateway.rpc.translate.images import image_changes, image_message, new_image
from protos.novaray.v1 import images_pb2 as pb
from protos.novaray.v1 import images_pb2_grpc

#: A client that downloads takes what it was sent within so many seconds.
_PATIENCE: Final = 60.0


class ImagesService(images_pb2_grpc.ImageServiceServicer):
    """What a disk starts from."""

    def __init__(self, images: ImageCases) -> None:
        self._images = images

    async def GetImage(self, request: pb.GetImageRequest, context: Context) -> pb.Image:
        """One image (AIP-131)."""
        return image_message(*await self._images.get(caller(), image_of(request.name)))

    async def ListImages(
        self, request: pb.ListImagesRequest, context: Context
    ) -> pb.ListImagesResponse:
        """A page of the images (AIP-132, AIP-158)."""
        page = PageRequest(request.page_size, request.page_token)
        listed = await self._images.list(caller(), request.filter, page)
        messages, token = fitting(listed, image_message)
        return pb.ListImagesResponse(images=messages, next_page_token=token)

    async def CreateImage(self, request: pb.CreateImageRequest, context: Context) -> pb.Image:
        """Make an image without bytes (AIP-133, AIP-155)."""
        who = caller()
        request_id = request_id_of(request_id_or_own(request.request_id))
        command = new_image(request.image, who.project, request_id)
        return image_message(await self._images.create(who, command))

    async def UploadImage(
        self, requests: AsyncIterator[pb.UploadImageRequest], context: Context
    ) -> pb.Image:
        """Take in bytes as they come; what is not written yet is not read either."""
        start = _start(await anext(requests, pb.UploadImageRequest()))
        return image_message(*await self._images.upload(caller(), start, _data(requests)))

    async def DownloadImage(  # type: ignore[override]
        self, request: pb.DownloadImageRequest, context: Context
    ) -> None:
        """Give out bytes as fast as they are taken."""
        parts = self._images.download(caller(), image_of(request.name), request.offset)
        async with aclosing(parts):
            async for part in parts:
                try:
                    async with asyncio.timeout(_PATIENCE):
                        await context.write(pb.DownloadImageResponse(data=part))
                except TimeoutError:
                    raise Expired(
                        f"Nothing was taken for {_PATIENCE:g} seconds.", "STREAM_IDLE"
                    ) from None

    async def UpdateImage(self, request: pb.UpdateImageRequest, context: Context) -> pb.Image:
        """Change what describes an image (AIP-134, AIP-154)."""
        updated = await self._images.update(
            caller(),
            image_of(request.image.name, "image.name"),
            image_changes(request.image, request.update_mask.paths),
            generation_of(request.image.etag),
        )
        return image_message(updated)

    async def DeleteImage(self, request: pb.DeleteImageRequest, context: Context) -> Empty:
        """Forget an image (AIP-135)."""
        await self._images.delete(caller(), image_of(request.name))
        return Empty()


def _start(message: pb.UploadImageRequest) -> UploadStart:
    if not message.HasField("start"):
        raise _out_of_order("start", "must be in the first message of the stream")
    start = message.start
    image = image_of(start.name, "start.name")
    return UploadStart(image, start.offset, start.size_bytes, start.sha256)


async def _data(messages: AsyncIterator[pb.UploadImageRequest]) -> AsyncIterator[bytes]:
    async for message in messages:
        if not message.HasField("data"):
            raise _out_of_order("data", "must be in every message but the first")
        yield message.data


def _out_of_order(field: str, problem: str) -> Invalid:
    return Invalid(f"The field {field} {problem}.", "FIELD_INVALID", "", {field: problem})
