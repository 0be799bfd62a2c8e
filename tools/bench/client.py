"""A client of the gateway, as any other: gRPC over TLS, a token, and waiting for operations."""

import asyncio
import itertools
import os
import tomllib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

# Read when grpc is imported: its own log lines would stand in our tables.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import grpc
from google.longrunning import operations_pb2, operations_pb2_grpc

from protos.novaray.v1 import (
    flavors_pb2,
    flavors_pb2_grpc,
    images_pb2,
    images_pb2_grpc,
    instances_pb2_grpc,
)
from protos.novaray.v1 import instances_pb2 as pb

#: What nothing takes, on the slowest machine.
_PATIENCE: Final = 120.0
_PAGE: Final = 1000

Item = TypeVar("Item")
Request = TypeVar("Request")


class Unexpected(Exception):
    """The cloud answered something that makes the figures worthless."""


class Cloud:
    """One project's view of the cloud."""

    def __init__(self, channel: grpc.aio.Channel, token: str, project: str) -> None:
        self._instances = instances_pb2_grpc.InstanceServiceStub(channel)
        # The googleapis package has no types for its stubs.
        self._operations: Any = operations_pb2_grpc.OperationsStub(channel)  # type: ignore[no-untyped-call]
        self._metadata = (("authorization", f"Bearer {token}"),)
        self._parent = f"projects/{project}"
        self._flavors = flavors_pb2_grpc.FlavorServiceStub(channel)
        self._images = images_pb2_grpc.ImageServiceStub(channel)
        self._boots = ("", "")
        #: What an instance is resized to, in turns.
        self._sizes: Iterator[str] = iter(())

    async def choose(self, flavor: str, image: str, other: str) -> None:
        """What to make instances of, by the names people use; ``other`` is a flavor to resize to.

        Raises:
            Unexpected: There is no such flavor or image.
        """
        flavors = await self._flavors.ListFlavors(
            flavors_pb2.ListFlavorsRequest(), timeout=_PATIENCE, metadata=self._metadata
        )
        images = await self._images.ListImages(
            images_pb2.ListImagesRequest(), timeout=_PATIENCE, metadata=self._metadata
        )
        try:
            names = {one.display_name: one.name for one in flavors.flavors}
            self._sizes = itertools.cycle((names[other], names[flavor]))
            self._boots = (
                names[flavor],
                next(one.name for one in images.images if one.display_name == image),
            )
        except (KeyError, StopIteration):
            raise Unexpected(
                f"There is no flavor {flavor} or {other}, or no image {image}."
            ) from None

    async def create(self) -> operations_pb2.Operation:
        """Ask for an instance; what it is answered is durable."""
        flavor, image = self._boots
        request = pb.CreateInstanceRequest(
            parent=self._parent,
            instance=pb.Instance(display_name="bench"),
            flavor=flavor,
            image=image,
            request_id=str(uuid.uuid4()),
        )
        return await self._instances.CreateInstance(
            request, timeout=_PATIENCE, metadata=self._metadata
        )

    async def stop(self, name: str) -> pb.Instance:
        """Shut down, and wait for it."""
        request = pb.StopInstanceRequest(name=name, request_id=str(uuid.uuid4()))
        return await self._becomes(pb.Instance.STATE_SHUTOFF, self._instances.StopInstance, request)

    async def start(self, name: str) -> pb.Instance:
        """Start, and wait for it."""
        request = pb.StartInstanceRequest(name=name, request_id=str(uuid.uuid4()))
        return await self._becomes(pb.Instance.STATE_ACTIVE, self._instances.StartInstance, request)

    async def pause(self, name: str) -> pb.Instance:
        """Stop its clock, and wait for it."""
        request = pb.PauseInstanceRequest(name=name, request_id=str(uuid.uuid4()))
        return await self._becomes(pb.Instance.STATE_PAUSED, self._instances.PauseInstance, request)

    async def unpause(self, name: str) -> pb.Instance:
        """Let it run on, and wait for it."""
        request = pb.UnpauseInstanceRequest(name=name, request_id=str(uuid.uuid4()))
        return await self._becomes(
            pb.Instance.STATE_ACTIVE, self._instances.UnpauseInstance, request
        )

    async def suspend(self, name: str) -> pb.Instance:
        """Write its memory to disk, and wait for it."""
        request = pb.SuspendInstanceRequest(name=name, request_id=str(uuid.uuid4()))
        return await self._becomes(
            pb.Instance.STATE_SUSPENDED, self._instances.SuspendInstance, request
        )

    async def resume(self, name: str) -> pb.Instance:
        """Bring it back, and wait for it."""
        request = pb.ResumeInstanceRequest(name=name, request_id=str(uuid.uuid4()))
        return await self._becomes(
            pb.Instance.STATE_ACTIVE, self._instances.ResumeInstance, request
        )

    async def reboot(self, name: str) -> pb.Instance:
        """Reboot it by its plug, and wait for it."""
        request = pb.RebootInstanceRequest(name=name, request_id=str(uuid.uuid4()), hard=True)
        return await self._becomes(
            pb.Instance.STATE_ACTIVE, self._instances.RebootInstance, request
        )

    async def rebuild(self, name: str) -> pb.Instance:
        """Make it anew from its image, and wait for it."""
        request = pb.RebuildInstanceRequest(
            name=name, request_id=str(uuid.uuid4()), image=self._boots[1]
        )
        return await self._becomes(
            pb.Instance.STATE_ACTIVE, self._instances.RebuildInstance, request
        )

    async def resize(self, name: str) -> pb.Instance:
        """Give it another size and confirm that, and wait for both."""
        resize = pb.ResizeInstanceRequest(
            name=name, request_id=str(uuid.uuid4()), flavor=next(self._sizes)
        )
        await self._becomes(pb.Instance.STATE_VERIFY_RESIZE, self._instances.ResizeInstance, resize)
        confirm = pb.ConfirmInstanceResizeRequest(name=name, request_id=str(uuid.uuid4()))
        return await self._becomes(
            pb.Instance.STATE_ACTIVE, self._instances.ConfirmInstanceResize, confirm
        )

    async def _becomes(
        self,
        state: pb.Instance.State.ValueType,
        method: grpc.aio.UnaryUnaryMultiCallable[Request, operations_pb2.Operation],
        request: Request,
    ) -> pb.Instance:
        """Ask, wait for the end, and see that it has become this."""
        accepted = await method(request, timeout=_PATIENCE, metadata=self._metadata)
        return _is(await self.settled(accepted), state)

    async def delete(self, name: str) -> None:
        """Delete, and wait until it is gone."""
        request = pb.DeleteInstanceRequest(name=name, request_id=str(uuid.uuid4()))
        await self.settled(
            await self._instances.DeleteInstance(
                request, timeout=_PATIENCE, metadata=self._metadata
            )
        )

    async def get(self, name: str) -> pb.Instance:
        """One instance."""
        return await self._instances.GetInstance(
            pb.GetInstanceRequest(name=name), timeout=_PATIENCE, metadata=self._metadata
        )

    async def page(self, size: int = _PAGE, token: str = "") -> pb.ListInstancesResponse:
        """One page of the list."""
        request = pb.ListInstancesRequest(parent=self._parent, page_size=size, page_token=token)
        return await self._instances.ListInstances(
            request, timeout=_PATIENCE, metadata=self._metadata
        )

    async def names(self) -> list[str]:
        """Of all instances."""
        found: list[str] = []
        token = ""
        while True:
            answer = await self.page(token=token)
            found += [instance.name for instance in answer.instances]
            token = answer.next_page_token
            if not token:
                return found

    async def settled(self, operation: operations_pb2.Operation) -> operations_pb2.Operation:
        """The operation once it has ended well.

        Raises:
            Unexpected: It failed, or took too long.
        """
        if not operation.done:
            request = operations_pb2.WaitOperationRequest(name=operation.name)
            request.timeout.FromSeconds(int(_PATIENCE))
            operation = await self._operations.WaitOperation(
                request, timeout=_PATIENCE + 1, metadata=self._metadata
            )
        if not operation.done or operation.HasField("error"):
            raise Unexpected(f"{operation.name}: {operation.error.message or 'has not ended'}")
        return operation

    def active(self, operation: operations_pb2.Operation) -> pb.Instance:
        """The instance that an operation made or started, which is ACTIVE."""
        return _is(operation, pb.Instance.STATE_ACTIVE)

    async def boot(self) -> str:
        """Create, and wait until it is ACTIVE; its name."""
        return self.active(await self.settled(await self.create())).name


@asynccontextmanager
async def connected(credentials: Path) -> AsyncIterator[Cloud]:
    """A client with the credentials in a file, as ``nova`` has it."""
    values = tomllib.loads(credentials.read_text(encoding="utf-8"))  # noqa: ASYNC240
    trust = grpc.ssl_channel_credentials(Path(values["ca"]).read_bytes())  # noqa: ASYNC240
    options = [("grpc.enable_http_proxy", 0)]
    async with grpc.aio.secure_channel(values["endpoint"], trust, options) as channel:
        yield Cloud(channel, values["token"], values["project"])


async def in_flight(
    call: Callable[[Item], Awaitable[None]], items: Iterable[Item], number: int
) -> None:
    """Make the call for each item, so many of them at a time."""
    left = iter(items)

    async def work() -> None:
        for item in left:
            await call(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(number):
            group.create_task(work())


def _is(operation: operations_pb2.Operation, state: pb.Instance.State.ValueType) -> pb.Instance:
    instance = pb.Instance()
    operation.response.Unpack(instance)
    if instance.state != state:
        raise Unexpected(
            f"{operation.name}: the instance is {pb.Instance.State.Name(instance.state)}"
        )
    return instance
