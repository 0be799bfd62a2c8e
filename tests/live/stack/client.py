"""A user's side: the gateway's gRPC stubs, and waiting for what they tell."""

import collections
import os
import queue
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

# Tests start processes; gRPC must not stand in the way of that.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import grpc
import pytest
from google.longrunning import operations_pb2, operations_pb2_grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from protos.novaray.v1 import (
    consoles_pb2,
    consoles_pb2_grpc,
    diagnostics_pb2,
    diagnostics_pb2_grpc,
    flavors_pb2,
    flavors_pb2_grpc,
    hosts_pb2,
    hosts_pb2_grpc,
    images_pb2,
    images_pb2_grpc,
    instances_pb2,
    instances_pb2_grpc,
    networks_pb2,
    networks_pb2_grpc,
    volumes_pb2,
    volumes_pb2_grpc,
)

MICRO: Final = "84"
_CALL_SECONDS: Final = 60.0
_SESSION_SECONDS: Final = 600.0
_POLL_SECONDS: Final = 0.1
_PIECE: Final = 1 << 20

Instance = instances_pb2.Instance
Operation = operations_pb2.Operation
Metadata = instances_pb2.InstanceOperationMetadata


class Boot(NamedTuple):
    """A boot under way: resource names."""

    instance: str
    operation: str


class _Bearer(grpc.AuthMetadataPlugin):
    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, _: object, answer: grpc.AuthMetadataPluginCallback) -> None:
        answer((("authorization", f"Bearer {self._token}"),), None)


class Client:
    """One administrator, whose gateway is behind a UNIX socket."""

    def __init__(self, socket: Path, ca: bytes, token: str, project: str) -> None:
        credentials = grpc.composite_channel_credentials(
            grpc.ssl_channel_credentials(ca), grpc.metadata_call_credentials(_Bearer(token))
        )
        self._channel = grpc.secure_channel(
            f"unix:{socket}",
            credentials,
            # The gateway's certificate is for TCP names.
            options=[("grpc.ssl_target_name_override", "localhost")],
        )
        self._parent = f"projects/{project}"
        self._instances: Any = instances_pb2_grpc.InstanceServiceStub(self._channel)
        self._hosts: Any = hosts_pb2_grpc.HostServiceStub(self._channel)
        self._consoles: Any = consoles_pb2_grpc.ConsoleServiceStub(self._channel)
        self._diagnostics: Any = diagnostics_pb2_grpc.DiagnosticsServiceStub(self._channel)
        self._flavors: Any = flavors_pb2_grpc.FlavorServiceStub(self._channel)
        self._images: Any = images_pb2_grpc.ImageServiceStub(self._channel)
        self._volumes: Any = volumes_pb2_grpc.VolumeServiceStub(self._channel)
        self._networks: Any = networks_pb2_grpc.NetworkServiceStub(self._channel)
        stub: Any = operations_pb2_grpc.OperationsStub
        self._operations: Any = stub(self._channel)

    def close(self) -> None:
        """Hang up."""
        self._channel.close()

    # --- asking for something -----------------------------------------------------------------

    def boot(
        self,
        name: str,
        image: str,
        *,
        host: str = "",
        flavor: str = MICRO,
        boot_volume: str = "",
        networks: Sequence[tuple[str, str]] = (),
    ) -> Boot:
        """Make an instance; of each network its name, and an address or nothing."""
        request = instances_pb2.CreateInstanceRequest(
            parent=self._parent,
            instance=Instance(display_name=name),
            flavor=f"flavors/{flavor}",
            image=f"images/{image}" if image else "",
            boot_volume=boot_volume,
            host=host,
            networks=[
                instances_pb2.RequestedNetwork(network=network, address=address)
                for network, address in networks
            ],
            request_id=str(uuid.uuid4()),
        )
        operation = self._instances.CreateInstance(request, timeout=_CALL_SECONDS)
        return Boot(metadata(operation).instance, operation.name)

    def new_flavor(self, name: str, memory_mb: int, **extra_specs: str) -> str:
        """Make a flavor; its id. ``novaray__max_vcpus`` is ``novaray:max_vcpus``."""
        flavor = flavors_pb2.Flavor(
            display_name=name,
            vcpus=1,
            memory_mb=memory_mb,
            public=True,
            extra_specs={key.replace("__", ":"): value for key, value in extra_specs.items()},
        )
        request = flavors_pb2.CreateFlavorRequest(flavor=flavor, request_id=str(uuid.uuid4()))
        made: str = self._flavors.CreateFlavor(request, timeout=_CALL_SECONDS).name
        return made.removeprefix("flavors/")

    def delete_flavor(self, flavor: str) -> None:
        """Delete a flavor, by its id. Its instances keep their copies."""
        request = flavors_pb2.DeleteFlavorRequest(name=f"flavors/{flavor}")
        self._flavors.DeleteFlavor(request, timeout=_CALL_SECONDS)

    def new_volume(self, *, size_gb: int, image: str = "", snapshot: str = "") -> str:
        """Make a volume; its resource name."""
        volume = volumes_pb2.Volume(size_gb=size_gb, image=image, snapshot=snapshot)
        request = volumes_pb2.CreateVolumeRequest(
            parent=self._parent, volume=volume, request_id=str(uuid.uuid4())
        )
        name: str = self._volumes.CreateVolume(request, timeout=_CALL_SECONDS).name
        return name

    def volume(self, name: str) -> volumes_pb2.Volume:
        """A volume."""
        request = volumes_pb2.GetVolumeRequest(name=name)
        volume: volumes_pb2.Volume = self._volumes.GetVolume(request, timeout=_CALL_SECONDS)
        return volume

    def extend_volume(self, name: str, size_gb: int) -> volumes_pb2.Volume:
        """Make a volume larger."""
        volume = volumes_pb2.Volume(name=name, size_gb=size_gb)
        grown: volumes_pb2.Volume = self._volumes.UpdateVolume(
            volumes_pb2.UpdateVolumeRequest(volume=volume), timeout=_CALL_SECONDS
        )
        return grown

    def keep_volume(self, name: str) -> str:
        """Ask for a snapshot of a volume; its resource name."""
        snapshot = volumes_pb2.VolumeSnapshot(volume=name)
        request = volumes_pb2.CreateVolumeSnapshotRequest(
            parent=self._parent, volume_snapshot=snapshot, request_id=str(uuid.uuid4())
        )
        kept: str = self._volumes.CreateVolumeSnapshot(request, timeout=_CALL_SECONDS).name
        return kept

    def kept_volume(self, name: str) -> volumes_pb2.VolumeSnapshot:
        """A snapshot of a volume."""
        request = volumes_pb2.GetVolumeSnapshotRequest(name=name)
        kept: volumes_pb2.VolumeSnapshot = self._volumes.GetVolumeSnapshot(
            request, timeout=_CALL_SECONDS
        )
        return kept

    def forget_kept_volume(self, name: str) -> None:
        """Delete a snapshot of a volume."""
        self._volumes.DeleteVolumeSnapshot(
            volumes_pb2.DeleteVolumeSnapshotRequest(name=name), timeout=_CALL_SECONDS
        )

    def delete_volume(self, name: str) -> None:
        """Delete a volume."""
        self._volumes.DeleteVolume(
            volumes_pb2.DeleteVolumeRequest(name=name), timeout=_CALL_SECONDS
        )

    def new_network(self, label: str, cidr: str, *dns: str) -> networks_pb2.Network:
        """Make a network of the project's own."""
        network = networks_pb2.Network(
            display_name=label, subnets=[networks_pb2.Subnet(cidr=cidr)], dns_servers=dns
        )
        request = networks_pb2.CreateNetworkRequest(
            parent=self._parent, network=network, request_id=str(uuid.uuid4())
        )
        made: networks_pb2.Network = self._networks.CreateNetwork(request, timeout=_CALL_SECONDS)
        return made

    def networks(self) -> dict[str, networks_pb2.Network]:
        """The networks the project's instances may be on, by label."""
        request = networks_pb2.ListNetworksRequest(parent=self._parent)
        listed = self._networks.ListNetworks(request, timeout=_CALL_SECONDS)
        return {network.display_name: network for network in listed.networks}

    def delete_network(self, name: str) -> None:
        """Delete a network, by resource name."""
        self._networks.DeleteNetwork(
            networks_pb2.DeleteNetworkRequest(name=name), timeout=_CALL_SECONDS
        )

    def start(self, name: str) -> Operation:
        """Start an instance."""
        return self._act(
            self._instances.StartInstance, instances_pb2.StartInstanceRequest(name=name)
        )

    def stop(self, name: str, grace_seconds: float = 180) -> Operation:
        """Stop an instance."""
        request = instances_pb2.StopInstanceRequest(name=name, grace_seconds=grace_seconds)
        return self._act(self._instances.StopInstance, request)

    def reboot(self, name: str, *, hard: bool = False, grace_seconds: float = 180) -> Operation:
        """Reboot an instance."""
        request = instances_pb2.RebootInstanceRequest(
            name=name, hard=hard, grace_seconds=grace_seconds
        )
        return self._act(self._instances.RebootInstance, request)

    def pause(self, name: str) -> Operation:
        """Stop a guest's clock."""
        return self._act(
            self._instances.PauseInstance, instances_pb2.PauseInstanceRequest(name=name)
        )

    def unpause(self, name: str) -> Operation:
        """Let a paused guest run on."""
        return self._act(
            self._instances.UnpauseInstance, instances_pb2.UnpauseInstanceRequest(name=name)
        )

    def suspend(self, name: str) -> Operation:
        """Write a guest's memory to disk."""
        return self._act(
            self._instances.SuspendInstance, instances_pb2.SuspendInstanceRequest(name=name)
        )

    def resume(self, name: str) -> Operation:
        """Bring a suspended guest back."""
        return self._act(
            self._instances.ResumeInstance, instances_pb2.ResumeInstanceRequest(name=name)
        )

    def delete(self, name: str) -> Operation:
        """Delete an instance for good."""
        request = instances_pb2.DeleteInstanceRequest(name=name, force=True)
        return self._act(self._instances.DeleteInstance, request)

    def ask(self, method: str, **fields: Any) -> Operation:
        """Ask for any action on an instance, by the method's name."""
        request = getattr(instances_pb2, f"{method}Request")(**fields)
        return self._act(getattr(self._instances, method), request)

    def edit(self, method: str, **fields: Any) -> Instance:
        """Change an instance at once, by the method's name; the instance as it became."""
        request = getattr(instances_pb2, f"{method}Request")(**fields)
        instance: Instance = getattr(self._instances, method)(request, timeout=_CALL_SECONDS)
        return instance

    def _act(self, method: Any, request: Any) -> Operation:
        request.request_id = str(uuid.uuid4())
        operation: Operation = method(request, timeout=_CALL_SECONDS)
        return operation

    # --- looking ------------------------------------------------------------------------------

    def get(self, name: str) -> Instance:
        """An instance."""
        request = instances_pb2.GetInstanceRequest(name=name)
        instance: Instance = self._instances.GetInstance(request, timeout=_CALL_SECONDS)
        return instance

    def instances(self, filter_text: str = "") -> dict[str, Instance]:
        """All instances that a list shows, by resource name."""
        request = instances_pb2.ListInstancesRequest(
            parent=self._parent, page_size=1000, filter=filter_text
        )
        found = self._instances.ListInstances(request, timeout=_CALL_SECONDS)
        return {one.name: one for one in found.instances}

    def is_gone(self, name: str) -> bool:
        """Whether nobody knows it any more."""
        try:
            self.get(name)
        except grpc.RpcError as error:
            failure: Any = error
            if failure.code() is grpc.StatusCode.NOT_FOUND:
                return True
            raise
        return False

    def console(self, name: str) -> str:
        """The console log as far as it has come."""
        data = b""
        while True:
            request = instances_pb2.GetConsoleOutputRequest(
                name=name, offset=len(data), max_bytes=_PIECE
            )
            try:
                piece = self._instances.GetConsoleOutput(request, timeout=_CALL_SECONDS).data
            except grpc.RpcError as error:
                failure: Any = error
                if failure.code() is grpc.StatusCode.NOT_FOUND:  # no log yet
                    return ""
                raise
            data += piece
            if len(piece) < _PIECE:
                text: str = data.decode(errors="replace")
                return text.replace("\r", "")

    def attach(
        self,
        name: str,
        kind: consoles_pb2.ConsoleKind.ValueType = consoles_pb2.CONSOLE_KIND_SERIAL,
        *,
        force: bool = False,
    ) -> "Session":
        """A session on a console."""
        return Session(self._consoles, name, kind, force)

    def screenshot(self, name: str) -> bytes:
        """What the screen shows."""
        request = consoles_pb2.CaptureScreenshotRequest(name=name)
        pieces = self._consoles.CaptureScreenshot(request, timeout=_CALL_SECONDS)
        return b"".join(piece.data for piece in pieces)

    def diagnostics(self, name: str) -> diagnostics_pb2.InstanceDiagnostics:
        """What a guest has used."""
        request = diagnostics_pb2.GetInstanceDiagnosticsRequest(name=name)
        found: diagnostics_pb2.InstanceDiagnostics = self._diagnostics.GetInstanceDiagnostics(
            request, timeout=_CALL_SECONDS
        )
        return found

    def hosts(self) -> dict[str, hosts_pb2.Host]:
        """All hosts, by host name."""
        request = hosts_pb2.ListHostsRequest(page_size=100)
        hosts = self._hosts.ListHosts(request, timeout=_CALL_SECONDS).hosts
        return {host.name.removeprefix("hosts/"): host for host in hosts}

    def images(self) -> dict[str, str]:
        """Ids of images, by name."""
        request = images_pb2.ListImagesRequest(page_size=100)
        found = self._images.ListImages(request, timeout=_CALL_SECONDS).images
        return {image.display_name: image.name.removeprefix("images/") for image in found}

    def operation(self, name: str) -> Operation:
        """An operation as it is now."""
        request = operations_pb2.GetOperationRequest(name=name)
        operation: Operation = self._operations.GetOperation(request, timeout=_CALL_SECONDS)
        return operation

    @contextmanager
    def watch(self) -> Iterator["Watch"]:
        """What instances become, from about now on."""
        request = instances_pb2.WatchInstancesRequest(parent=self._parent)
        call = self._instances.WatchInstances(request)
        watch = Watch(call)
        try:
            yield watch
        finally:
            call.cancel()
            watch.join()

    # --- waiting ------------------------------------------------------------------------------

    def ended(self, name: str, seconds: float = 180) -> Operation:
        """The operation, once it has ended."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            request = operations_pb2.WaitOperationRequest(
                name=name, timeout=Duration(seconds=int(min(left, 10)) + 1)
            )
            operation: Operation = self._operations.WaitOperation(request, timeout=_CALL_SECONDS)
            if operation.done:
                return operation
        stuck = metadata(self.operation(name))
        raise AssertionError(f"not ended within {seconds:.0f} s:\n{stuck}")

    def succeeded(self, *names: str, seconds: float = 180) -> None:
        """Wait until all of these operations have ended well."""
        for name in names:
            operation = self.ended(name, seconds)
            assert operation.error.code == code_pb2.OK, f"{operation.error}{metadata(operation)}"

    def log_in_appears(self, names: Sequence[str], times: int = 1, seconds: float = 300) -> None:
        """Wait until each of the guests asks who logs in, for the so-many-th time."""
        waiting = list(names)
        deadline = time.monotonic() + seconds
        while waiting:
            waiting = [name for name in waiting if self.console(name).count(" login: ") < times]
            if waiting and time.monotonic() > deadline:
                end = self.console(waiting[0])[-2000:]
                raise AssertionError(
                    f"no login within {seconds:.0f} s: {waiting}; the first one's console:\n{end}"
                )
            time.sleep(_POLL_SECONDS)


class Watch(threading.Thread):
    """A stream of changes, and when each of them came."""

    def __init__(self, call: Any) -> None:
        super().__init__(name="watch", daemon=True)
        self._call = call
        self._came = threading.Condition()
        self._seen: list[tuple[float, Instance]] = []
        self.start()

    def run(self) -> None:
        """Note what comes."""
        with suppress(grpc.RpcError):
            for change in self._call:
                if change.HasField("instance"):
                    with self._came:
                        self._seen.append((time.monotonic(), change.instance))
                        self._came.notify_all()

    def states(self, name: str) -> list[int]:
        """All states that an instance was seen in."""
        with self._came:
            return [instance.state for _, instance in self._seen if instance.name == name]

    def seen(
        self, name: str, state: "Instance.State.ValueType", since: float, seconds: float = 120
    ) -> float:
        """When, after ``since``, an instance was seen in a state, with nothing being done to it."""

        def found() -> list[float]:
            return [
                at
                for at, instance in self._seen
                if at > since
                and instance.name == name
                and instance.state == state
                and not instance.task_state
            ]

        with self._came:
            assert self._came.wait_for(found, seconds), f"not seen: {Instance.State.Name(state)}"
            return found()[0]


def metadata(operation: Operation) -> Metadata:
    """What an operation says of itself."""
    found = Metadata()
    assert operation.metadata.Unpack(found), operation
    return found


class Session:
    """An attached console."""

    def __init__(
        self, stub: Any, name: str, kind: consoles_pb2.ConsoleKind.ValueType, force: bool
    ) -> None:
        self._input: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        first = consoles_pb2.AttachConsoleRequest(name=name, kind=kind, force=force)
        self._call = stub.AttachConsole(self._requests(first), timeout=_SESSION_SECONDS)
        self._seen = b""
        next(self._call)

    def _requests(self, first: Any) -> Iterator[Any]:
        yield first
        while data := self._input.get():
            yield consoles_pb2.AttachConsoleRequest(data=data)

    def send(self, data: bytes) -> None:
        """Type."""
        self._input.put(data)

    def take(self, count: int) -> bytes:
        """The next so many bytes."""
        while len(self._seen) < count:
            self._seen += next(self._call).data
        taken, self._seen = self._seen[:count], self._seen[count:]
        return taken

    def until(self, text: str) -> str:
        """What comes up to this text."""
        while text.encode() not in self._seen:
            self._seen += next(self._call).data
        before, _, self._seen = self._seen.partition(text.encode())
        return before.decode(errors="replace").replace("\r", "")

    def failure(self) -> tuple[grpc.StatusCode, str]:
        """Code and reason of its end, which is no good one."""
        with pytest.raises(grpc.RpcError) as failed:
            collections.deque(self._call, maxlen=0)
        error: Any = failed.value
        status = rpc_status.from_call(error)
        info = ErrorInfo()
        assert status is not None, error
        assert status.details[0].Unpack(info)
        return error.code(), info.reason

    def close(self) -> None:
        """Hang up, as who has seen enough."""
        self._input.put(None)
        self._call.cancel()
