"""ImageService of the scripted cloud: what is uploaded is kept, and streams break off as told."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.empty_pb2 import Empty

from protos.novaray.v1 import images_pb2 as pb
from protos.novaray.v1 import images_pb2_grpc

if TYPE_CHECKING:
    from collections import defaultdict
    from collections.abc import Iterator

    from tests.gateway.cli.cloud import Service


class Images(images_pb2_grpc.ImageServiceServicer):
    def __init__(self, service: Service) -> None:
        self.service = service
        self.images = service.cloud.images
        self.contents: defaultdict[str, bytes] = service.cloud.contents

    def GetImage(self, request: Any, context: Any) -> pb.Image:
        self.service.enter(request, context, "GetImage")
        return self._find(request.name, context)

    def ListImages(self, request: Any, context: Any) -> pb.ListImagesResponse:
        self.service.enter(request, context, "ListImages")
        state = request.filter.rpartition("state = ")[2]
        found = [i for i in self.images if state in ("", pb.Image.State.Name(i.state)[6:])]
        items, token = self.service.page(found, request)
        return pb.ListImagesResponse(images=items, next_page_token=token)

    def CreateImage(self, request: Any, context: Any) -> pb.Image:
        self.service.enter(request, context, "CreateImage")
        image: pb.Image = request.image
        image.name = "images/11111111-2222-4333-8444-555555555555"
        image.state = pb.Image.STATE_QUEUED
        image.project = "projects/demo"
        image.create_time.FromSeconds(1_442_892_300)
        self.images.append(image)
        return image

    def UploadImage(self, requests: Iterator[Any], context: Any) -> pb.Image:
        start = next(requests).start
        self.service.enter(start, context, "UploadImage")
        image = self._find(start.name, context)
        held = self.contents[image.name]
        assert start.offset == len(held), "as an honest server would say"
        cut = self.service.cloud.cuts.pop(0) if self.service.cloud.cuts else None
        for message in requests:
            self.contents[image.name] += message.data
            if cut is not None and len(self.contents[image.name]) >= cut:
                image.uploaded_size_bytes = len(self.contents[image.name])
                image.state = pb.Image.STATE_SAVING
                context.abort(grpc.StatusCode.UNAVAILABLE, "")
        held = self.contents[image.name]
        image.uploaded_size_bytes = len(held)
        image.state = pb.Image.STATE_SAVING
        if len(held) == start.size_bytes:
            assert hashlib.sha256(held).hexdigest() == start.sha256
            image.state = pb.Image.STATE_ACTIVE
            image.sha256 = start.sha256
            image.size_bytes = image.virtual_size_bytes = len(held)
        return image

    def DownloadImage(self, request: Any, context: Any) -> Iterator[pb.DownloadImageResponse]:
        self.service.enter(request, context, "DownloadImage")
        held = self.contents[self._find(request.name, context).name]
        cut = self.service.cloud.cuts.pop(0) if self.service.cloud.cuts else len(held) + 1
        for at in range(request.offset, len(held), 1000):
            if at >= cut:
                context.abort(grpc.StatusCode.UNAVAILABLE, "")
            yield pb.DownloadImageResponse(data=held[at : at + 1000])

    def UpdateImage(self, request: Any, context: Any) -> pb.Image:
        self.service.enter(request, context, "UpdateImage")
        image = self._find(request.image.name, context)
        for field in request.update_mask.paths:
            if field == "properties":
                image.properties.clear()
                image.properties.update(request.image.properties)
            else:
                setattr(image, field, getattr(request.image, field))
        return image

    def DeleteImage(self, request: Any, context: Any) -> Empty:
        self.service.enter(request, context, "DeleteImage")
        self.images.remove(self._find(request.name, context))
        return Empty()

    def _find(self, name: str, context: Any) -> pb.Image:
        for image in self.images:
            if image.name == name:
                return image
        context.abort(grpc.StatusCode.NOT_FOUND, "There is none.")
        raise AssertionError
