"""What the gateway's tests talk to: a server over TLS in front of an in-memory cloud."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import grpc
import pytest
from google.longrunning import operations_pb2_grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from actors.model.flavor import Resources
from actors.model.host import HostRecord, HostUsage, Inventory
from actors.model.identity import Role
from actors.model.ids import HostId, ImageId, ProjectId
from actors.model.image import DiskFormat, Image, ImageStatus
from gateway.app.application import Application
from gateway.rpc.server import Server, TlsFiles
from protos.novaray.v1 import (
    consoles_pb2_grpc,
    diagnostics_pb2_grpc,
    flavors_pb2_grpc,
    hosts_pb2_grpc,
    images_pb2_grpc,
    instances_pb2_grpc,
    keypairs_pb2_grpc,
    networks_pb2_grpc,
    versions_pb2_grpc,
    volumes_pb2_grpc,
)
from protos.novaray.v1 import instances_pb2 as pb
from tests.fakes.memory_compute import MemoryCompute

SECRET: Final = b"the tests' secret of this cluster"
NOW: Final = datetime(2026, 1, 5, tzinfo=UTC)
ADMIN, MEMBER, READER, STRANGER = "t-admin", "t-member", "t-reader", "t-stranger"

DISK, UEC, KERNEL, RAMDISK, QUEUED, PRIVATE = (
    ImageId(name) for name in ("cirros", "uec", "uec-kernel", "uec-ramdisk", "queued", "private")
)
HOST: Final = HostUsage(
    record=HostRecord(
        id=HostId("0b7b9f1c-0000-4000-8000-000000000001"),
        name="host-1",
        inventory=Inventory(vcpus=4, memory_mb=8192, disk_gb=100),
        hypervisor="TEST",
        virt_type="test",
        created=NOW,
        updated=NOW,
    ),
    claimed=Resources(vcpus=1, memory_mb=512, disk_gb=1),
    instances=1,
)


def image(name: str, disk_format: DiskFormat = DiskFormat.QCOW2, **fields: Any) -> Image:
    """An image with this id and name."""
    values = {
        "status": ImageStatus.ACTIVE,
        "sha256": "0" * 64,
        "size": 1000,
        "virtual_size": 64 * 1024**2,
        "public": True,
        **fields,
    }
    return Image(
        id=ImageId(name),
        project=ProjectId("demo"),
        name=name,
        disk_format=disk_format,
        created=NOW,
        **values,
    )


def make_compute() -> MemoryCompute:
    """A cloud with a few images, one host and four callers."""
    compute = MemoryCompute(
        [
            image(DISK),
            image(
                UEC,
                DiskFormat.RAW,
                kernel_id=KERNEL,
                ramdisk_id=RAMDISK,
                properties={"os_command_line": "console=ttyS0"},
            ),
            image(KERNEL, DiskFormat.AKI, virtual_size=0),
            image(RAMDISK, DiskFormat.ARI, virtual_size=0),
            # Only its own project sees this one: it does not make the kernel stand for two disks.
            image("private-uec", kernel_id=KERNEL, public=False),
            image("lonely-kernel", DiskFormat.AKI, virtual_size=0),
            image("hidden-uec", kernel_id=ImageId("lonely-kernel"), public=False),
            image("shared-kernel", DiskFormat.AKI, virtual_size=0),
            image("one", kernel_id=ImageId("shared-kernel")),
            image("two", kernel_id=ImageId("shared-kernel")),
            image(QUEUED, status=ImageStatus.QUEUED),
            image(PRIVATE, public=False),
            image("large", virtual_size=2 * 1024**3),
            image("thirsty", min_memory_mb=1024),
            image("wide", min_disk_gb=5),
            image("broken", kernel_id=ImageId("gone")),
            image("confused", kernel_id=RAMDISK),
            image("efi", properties={"hw_firmware_type": "uefi"}),
            image("strange", properties={"hw_firmware_type": "openfirmware"}),
            image("slow", properties={"os_shutdown_timeout": "90"}),
            image("endless", properties={"os_shutdown_timeout": "-1"}),
        ]
    )
    compute.fleet.all_hosts.append(HOST)
    for token, project, role in (
        (ADMIN, "ops", Role.ADMIN),
        (MEMBER, "demo", Role.MEMBER),
        (READER, "demo", Role.READER),
        (STRANGER, "other", Role.MEMBER),
    ):
        compute.identity.add(token, token.removeprefix("t-"), project, role)
    return compute


class Client:
    """Real stubs over one channel, with one caller's token."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self.instances = instances_pb2_grpc.InstanceServiceStub(channel)
        self.flavors = flavors_pb2_grpc.FlavorServiceStub(channel)
        self.images = images_pb2_grpc.ImageServiceStub(channel)
        self.hosts = hosts_pb2_grpc.HostServiceStub(channel)
        self.volumes = volumes_pb2_grpc.VolumeServiceStub(channel)
        self.networks = networks_pb2_grpc.NetworkServiceStub(channel)
        self.keypairs = keypairs_pb2_grpc.KeypairServiceStub(channel)
        self.consoles = consoles_pb2_grpc.ConsoleServiceStub(channel)
        self.diagnostics = diagnostics_pb2_grpc.DiagnosticsServiceStub(channel)
        self.versions = versions_pb2_grpc.VersionServiceStub(channel)
        self.operations: Any = operations_pb2_grpc.OperationsStub(channel)  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Cloud:
    """A server, what is behind it, and how to get a client of it."""

    compute: MemoryCompute
    server: Server
    connect: Callable[[str | None], Client]

    @property
    def member(self) -> Client:
        """The project's own user."""
        return self.connect(MEMBER)


@asynccontextmanager
async def serve(
    tls: tuple[TlsFiles, bytes], compute: MemoryCompute, application: Application | None = None
) -> AsyncIterator[Cloud]:
    """A cloud whose gateway listens on loopback."""
    files, ca = tls
    server = Server(compute, SECRET, "127.0.0.1:0", files, application=application)
    port = await server.start()
    channels: dict[str | None, grpc.aio.Channel] = {}

    def connect(token: str | None) -> Client:
        if token not in channels:
            credentials = grpc.ssl_channel_credentials(ca)
            if token is not None:
                credentials = grpc.composite_channel_credentials(
                    credentials, grpc.access_token_call_credentials(token)
                )
            channels[token] = grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials)
        return Client(channels[token])

    try:
        yield Cloud(compute, server, connect)
    finally:
        for channel in channels.values():
            await channel.close()
        await server.stop(0)


@dataclass(frozen=True)
class Problem:
    """What a client sees of an error."""

    code: grpc.StatusCode
    message: str
    info: ErrorInfo
    details: dict[str, Message]

    @property
    def reason(self) -> str:
        """For a program."""
        return self.info.reason


async def refused(call: Any, code: grpc.StatusCode, reason: str) -> Problem:
    """The error of a call that must fail so: code, reason, and a sentence for a person."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    problem = problem_of(caught.value)
    assert (problem.code, problem.reason) == (code, reason), problem.message
    assert problem.info.domain == "novaray"
    assert problem.message[0].isupper()
    assert problem.message.endswith(".")
    assert "Traceback" not in problem.message
    trailers = dict(caught.value.trailing_metadata() or ())
    assert trailers.get("x-request-id")
    return problem


def problem_of(error: grpc.aio.AioRpcError) -> Problem:
    """Status and details of an error."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    assert status is not None, f"no google.rpc.Status: {error.code()} {error.details()}"
    details: dict[str, Message] = {}
    for packed in status.details:
        name = packed.type_url.rpartition(".")[2]
        details[name] = getattr(error_details_pb2, name)()
        packed.Unpack(details[name])
    info = details["ErrorInfo"]
    assert isinstance(info, ErrorInfo)
    return Problem(error.code(), status.message, info, details)


def create(name: str = "vm", **fields: Any) -> pb.CreateInstanceRequest:
    """A request that is fine but for what a test changes."""
    fields = {
        "parent": "projects/demo",
        "instance": pb.Instance(display_name=name),
        "flavor": "flavors/1",
        "image": f"images/{DISK}",
        **fields,
    }
    return pb.CreateInstanceRequest(**fields)
