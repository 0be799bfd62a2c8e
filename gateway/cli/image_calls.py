"""Calls about images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.cli.calls import Calls, failure_of, pages

# isort: split
import grpc

from protos.novaray.v1 import images_pb2 as pb
from protos.novaray.v1 import images_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: An upload or a download is begun anew, where it is by then, after so many seconds: a connection
#: that died without a word is noticed then.
TRANSFER_SECONDS: Final = 600.0


class ImageCalls(Calls):
    """What can be asked about images."""

    def list_images(self, filter_text: str = "") -> Iterator[pb.Image]:
        """All images, newest first."""

        def page(token: str, size: int) -> tuple[list[pb.Image], str]:
            request = pb.ListImagesRequest(page_size=size, page_token=token, filter=filter_text)
            response = self._call(self._images.ListImages, request)
            return list(response.images), response.next_page_token

        return pages(page)

    def get_image(self, name: str) -> pb.Image:
        """One image, with how many of its bytes have come."""
        return self._call(self._images.GetImage, pb.GetImageRequest(name=name))

    def create_image(self, image: pb.Image, request_id: str) -> pb.Image:
        """Make an image without bytes."""
        request = pb.CreateImageRequest(image=image, request_id=request_id)
        return self._call(self._images.CreateImage, request)

    def upload_image(self, start: pb.UploadImageRequest.Start, data: Iterable[bytes]) -> pb.Image:
        """Bring bytes; the image as it is when they have come."""

        def messages() -> Iterator[pb.UploadImageRequest]:
            yield pb.UploadImageRequest(start=start)
            for part in data:
                yield pb.UploadImageRequest(data=part)

        try:
            return self._images.UploadImage(
                messages(), timeout=TRANSFER_SECONDS, metadata=self._metadata
            )
        except grpc.RpcError as error:
            raise failure_of(error, self._connection.endpoint) from error

    def download_image(self, name: str, offset: int) -> Iterator[bytes]:
        """The bytes from an offset on."""
        request = pb.DownloadImageRequest(name=name, offset=offset)
        try:
            for message in self._images.DownloadImage(
                request, timeout=TRANSFER_SECONDS, metadata=self._metadata
            ):
                yield message.data
        except grpc.RpcError as error:
            raise failure_of(error, self._connection.endpoint) from error

    def update_image(self, image: pb.Image, fields: Iterable[str]) -> pb.Image:
        """Change these fields."""
        request = pb.UpdateImageRequest(image=image)
        request.update_mask.paths.extend(fields)
        return self._call(self._images.UpdateImage, request)

    def delete_image(self, name: str) -> None:
        """Forget an image."""
        self._call(self._images.DeleteImage, pb.DeleteImageRequest(name=name))

    @property
    def _images(self) -> images_pb2_grpc.ImageServiceStub:
        return images_pb2_grpc.ImageServiceStub(self._channel)
