"""Images, as a client sees them."""

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from actors.model.commands import InstanceCommand
from actors.model.details import Snapshot
from actors.model.errors import Unavailable
from gateway.app import images as cases
from gateway.rpc.border import Border
from gateway.rpc.images import ImagesService
from protos.novaray.v1 import images_pb2 as pb
from protos.novaray.v1 import instances_pb2
from tests.gateway.cloud import ADMIN, DISK, MEMBER, STRANGER, Client, Cloud, create, refused

CONTENT = bytes(range(256)) * 20_000  # 5 MB: more than one piece
SHA = hashlib.sha256(CONTENT).hexdigest()
PART = 300_000
MASK = FieldMask(paths=["properties"])


def new(name: str = "mine", **fields: Any) -> pb.CreateImageRequest:
    image = pb.Image(display_name=name, disk_format=pb.Image.DISK_FORMAT_RAW)
    return pb.CreateImageRequest(image=image, **fields)


# A refusal that comes while more is being sent may reach a client of grpc.aio as INTERNAL: it takes
# its own failure to send for the answer. So what is to be refused here is short.
def stream(
    image: pb.Image, offset: int = 0, end: int = len(CONTENT), **fields: Any
) -> Iterator[pb.UploadImageRequest]:
    fields = {"size_bytes": len(CONTENT), "sha256": SHA, **fields}
    start = pb.UploadImageRequest.Start(name=image.name, offset=offset, **fields)
    yield pb.UploadImageRequest(start=start)
    for at in range(offset, end, PART):
        yield pb.UploadImageRequest(data=CONTENT[at : min(at + PART, end)])


async def get(client: Client, image: pb.Image) -> pb.Image:
    return await client.images.GetImage(pb.GetImageRequest(name=image.name))


async def names(client: Client, filter_text: str) -> list[str]:
    request = pb.ListImagesRequest(filter=filter_text)
    return [image.display_name for image in (await client.images.ListImages(request)).images]


async def content(client: Client, image: pb.Image, offset: int = 0) -> bytes:
    request = pb.DownloadImageRequest(name=image.name, offset=offset)
    parts = [part.data async for part in client.images.DownloadImage(request)]
    assert all(len(part) <= 1024 * 1024 for part in parts)
    return b"".join(parts)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - nobody tells when
            await asyncio.sleep(0.005)


async def test_create_upload_download_delete(cloud: Cloud) -> None:
    stub = cloud.member.images
    made = await stub.CreateImage(new())
    assert (made.state, made.project) == (pb.Image.STATE_QUEUED, "projects/demo")
    assert await get(cloud.member, made) == made
    done = await stub.UploadImage(stream(made))
    assert (done.state, done.sha256) == (pb.Image.STATE_ACTIVE, SHA)
    assert done.uploaded_size_bytes == done.size_bytes == len(CONTENT)
    assert await get(cloud.member, made) == done
    assert await content(cloud.member, made) == CONTENT
    assert await content(cloud.member, made, len(CONTENT) - 7) == CONTENT[-7:]
    assert await content(cloud.member, made, len(CONTENT)) == b""
    await stub.DeleteImage(pb.DeleteImageRequest(name=made.name))
    await refused(get(cloud.member, made), grpc.StatusCode.NOT_FOUND, "IMAGE_NOT_FOUND")
    assert not cloud.server.application.images._transfers


async def test_a_create_that_is_sent_again_makes_one_image(cloud: Cloud) -> None:
    request = new(request_id="11111111-1111-4111-8111-111111111111")
    first = await cloud.member.images.CreateImage(request)
    assert await cloud.member.images.CreateImage(request) == first
    # Another project's request of this id is another one.
    assert (await cloud.connect(STRANGER).images.CreateImage(request)).name != first.name


async def test_an_upload_goes_on_where_it_ended(cloud: Cloud) -> None:
    made = await cloud.member.images.CreateImage(new())
    half = await cloud.member.images.UploadImage(stream(made, end=2_000_000))
    assert (half.state, half.uploaded_size_bytes) == (pb.Image.STATE_SAVING, 2_000_000)
    assert (await get(cloud.member, made)).uploaded_size_bytes == 2_000_000
    problem = await refused(
        cloud.member.images.UploadImage(stream(made, end=PART)),
        grpc.StatusCode.FAILED_PRECONDITION,
        "UPLOAD_OFFSET",
    )
    assert problem.info.metadata["offset"] == "2000000"
    done = await cloud.member.images.UploadImage(stream(made, 2_000_000))
    assert done.state == pb.Image.STATE_ACTIVE
    assert await content(cloud.member, made) == CONTENT
    # Nothing more to bring: asked again, the same.
    assert await cloud.member.images.UploadImage(stream(made, len(CONTENT))) == done


async def test_a_connection_that_breaks_seals_nothing(cloud: Cloud) -> None:
    made = await cloud.member.images.CreateImage(new())
    arrived = asyncio.Event()
    write = cloud.compute.images.write

    async def told(*call: Any) -> int:
        end = await write(*call)
        arrived.set()
        return end

    cloud.compute.images.write = told  # type: ignore[method-assign, assignment]
    call = cloud.member.images.UploadImage()
    for request in stream(made, end=4_500_000):
        await call.write(request)
    await arrived.wait()
    call.cancel()
    await until(lambda: not cloud.server.application.images._transfers)
    there = await get(cloud.member, made)
    assert (there.state, there.uploaded_size_bytes) == (pb.Image.STATE_SAVING, cases.PIECE)
    assert not cloud.compute.calls["seal"]
    done = await cloud.member.images.UploadImage(stream(made, cases.PIECE))
    assert done.state == pb.Image.STATE_ACTIVE


async def test_other_bytes_than_were_announced(cloud: Cloud) -> None:
    made = await cloud.member.images.CreateImage(new())
    invalid = grpc.StatusCode.INVALID_ARGUMENT
    upload = cloud.member.images.UploadImage
    await refused(upload(stream(made, end=PART, size_bytes=5)), invalid, "FIELD_INVALID")
    again = await cloud.member.images.CreateImage(new())
    wrong = stream(again, sha256="0" * 64)
    await refused(upload(wrong), invalid, "UPLOAD_CHECKSUM_MISMATCH")
    twice = [pb.UploadImageRequest(start=next(stream(again)).start)] * 2
    await refused(upload(iter(twice)), invalid, "FIELD_INVALID")
    await refused(upload(iter(())), invalid, "FIELD_INVALID")


async def test_a_message_of_a_stream_over_the_limit(cloud: Cloud) -> None:
    made = await cloud.member.images.CreateImage(new())
    large = pb.UploadImageRequest(data=bytes(4 * 1024 * 1024))
    await refused(
        cloud.member.images.UploadImage(iter([next(stream(made)), large])),
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "MESSAGE_TOO_LARGE",
    )


async def test_a_stream_that_says_nothing_ends(cloud: Cloud) -> None:
    made = await cloud.member.images.CreateImage(new())
    border = Border(cloud.server.application.auth, stream_patience=0.05)
    service = ImagesService(cloud.server.application.images)
    method: Any = type("Details", (), {"method": "/novaray.v1.ImageService/UploadImage"})

    async def continuation(_details: Any) -> Any:
        return grpc.stream_unary_rpc_method_handler(
            service.UploadImage,
            pb.UploadImageRequest.FromString,
            pb.Image.SerializeToString,
        )

    async def silent() -> Any:
        yield next(stream(made))
        await asyncio.Event().wait()

    handler: Any = await border.intercept_service(continuation, method)
    context = _Context()
    with pytest.raises(grpc.aio.AbortError):
        await handler.stream_unary(silent(), context)
    assert context.aborted[0] is grpc.StatusCode.DEADLINE_EXCEEDED
    assert "STREAM_IDLE" in str(context.aborted[2])
    assert not cloud.server.application.images._transfers


class _Context:
    """As much of a servicer's context as the border needs."""

    def __init__(self) -> None:
        self.aborted: tuple[Any, ...] = ()

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {MEMBER}"),)

    def set_trailing_metadata(self, metadata: object) -> None:
        pass

    async def abort(self, *status: Any) -> None:
        self.aborted = status
        raise grpc.aio.AbortError


async def test_a_project_cannot_take_every_transfer(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cases, "MAX_PROJECT_TRANSFERS", 1)
    made = await cloud.member.images.CreateImage(new())
    gate = cloud.compute.hold("write")
    first = asyncio.ensure_future(cloud.member.images.UploadImage(stream(made)))
    await until(lambda: cloud.compute.calls["write"] > 0)
    await refused(
        cloud.member.images.UploadImage(stream(made, end=0)),
        grpc.StatusCode.UNAVAILABLE,
        "TOO_MANY_TRANSFERS",
    )
    gate.set()
    assert (await first).state == pb.Image.STATE_ACTIVE


async def test_a_download_that_cannot_go_on_says_so(cloud: Cloud) -> None:
    made = await cloud.member.images.CreateImage(new())
    await cloud.member.images.UploadImage(stream(made))
    cloud.compute.failures["read"] = Unavailable("The images are away.")
    await refused(content(cloud.member, made), grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE")


async def test_update_changes_what_its_mask_names(cloud: Cloud) -> None:
    made = await cloud.member.images.CreateImage(new())
    wanted = pb.Image(
        name=made.name, properties={"os_type": "linux"}, min_disk_gb=3, etag=made.etag
    )
    stub = cloud.member.images
    one = await stub.UpdateImage(pb.UpdateImageRequest(image=wanted, update_mask=MASK))
    assert (dict(one.properties), one.min_disk_gb) == ({"os_type": "linux"}, 0)
    await refused(
        stub.UpdateImage(pb.UpdateImageRequest(image=wanted, update_mask=MASK)),
        grpc.StatusCode.ABORTED,
        "STALE_GENERATION",
    )
    wanted.etag = ""
    two = await stub.UpdateImage(pb.UpdateImageRequest(image=wanted))
    assert (two.min_disk_gb, two.display_name) == (3, "mine")
    wanted = pb.Image(name=made.name, display_name="yours", kernel="images/uec-kernel")
    everything = FieldMask(paths=["*"])
    three = await stub.UpdateImage(pb.UpdateImageRequest(image=wanted, update_mask=everything))
    assert (three.display_name, three.kernel) == ("yours", "images/uec-kernel")
    assert (three.min_disk_gb, dict(three.properties)) == (0, {})
    assert await get(cloud.member, made) == three


async def test_what_is_protected_is_not_deleted(cloud: Cloud) -> None:
    made = await cloud.member.images.CreateImage(new())
    for protected in (True, False):
        await cloud.member.images.UpdateImage(
            pb.UpdateImageRequest(
                image=pb.Image(name=made.name, protected=protected),
                update_mask=FieldMask(paths=["protected"]),
            )
        )
        delete = cloud.member.images.DeleteImage(pb.DeleteImageRequest(name=made.name))
        if protected:
            await refused(delete, grpc.StatusCode.FAILED_PRECONDITION, "IMAGE_PROTECTED")
        else:
            await delete


async def test_a_public_image_is_for_all_to_see_and_for_its_project_to_change(
    cloud: Cloud,
) -> None:
    made = await cloud.connect(ADMIN).images.CreateImage(
        pb.CreateImageRequest(
            image=pb.Image(display_name="all", disk_format=pb.Image.DISK_FORMAT_RAW, public=True)
        )
    )
    assert (await get(cloud.member, made)).public
    change = pb.Image(name=made.name, display_name="mine")
    for call in (
        cloud.member.images.UpdateImage(pb.UpdateImageRequest(image=change)),
        cloud.member.images.DeleteImage(pb.DeleteImageRequest(name=made.name)),
        cloud.member.images.UploadImage(stream(made, end=0)),
    ):
        await refused(call, grpc.StatusCode.PERMISSION_DENIED, "IMAGE_NOT_OWNED")


async def test_a_list_can_be_filtered(cloud: Cloud) -> None:
    made = await cloud.member.images.CreateImage(new())
    await cloud.member.images.UploadImage(stream(made, end=PART))
    assert await names(cloud.member, "state = SAVING") == ["mine"]
    private = {"mine", "private", "private-uec", "hidden-uec"}
    assert set(await names(cloud.member, "visibility = private")) == private
    assert DISK in await names(cloud.member, "visibility = public AND state = ACTIVE")
    assert await names(cloud.member, 'display_name = "mine" AND project = demo') == ["mine"]
    assert await names(cloud.connect(STRANGER), "visibility = private") == []
    page = await cloud.member.images.ListImages(
        pb.ListImagesRequest(filter="visibility = public", page_size=1)
    )
    await refused(
        cloud.member.images.ListImages(pb.ListImagesRequest(page_token=page.next_page_token)),
        grpc.StatusCode.INVALID_ARGUMENT,
        "PAGE_TOKEN_INVALID",
    )


async def test_an_image_of_an_instance_is_never_one_that_was_uploaded(cloud: Cloud) -> None:
    """One that fails removes its image: a request id that is used twice must not cost the other."""
    request_id = "11111111-1111-4111-8111-111111111111"
    uploaded = await cloud.member.images.CreateImage(new(request_id=request_id))
    made = await cloud.member.instances.CreateInstance(create("vm"))
    metadata = instances_pb2.InstanceOperationMetadata()
    assert made.metadata.Unpack(metadata)
    cloud.compute.settle = False
    await cloud.member.instances.CreateInstanceImage(
        instances_pb2.CreateInstanceImageRequest(
            name=metadata.instance, image_display_name="copy", request_id=request_id
        )
    )
    command = cloud.compute.instances.commands[-1]
    assert isinstance(command, InstanceCommand)
    assert isinstance(command.details, Snapshot)
    assert f"images/{command.details.image}" != uploaded.name
