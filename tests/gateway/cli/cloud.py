"""A server that does what a test tells it to: the wire contract over TLS, without a gateway.

It says what no real gateway says on demand: an operation that waits at its third step, a stream
that breaks off, a status without details. What the real one says is checked in test_gateway.py.
"""

import datetime
import threading
import uuid
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.longrunning import operations_pb2, operations_pb2_grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status
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
    keypairs_pb2,
    keypairs_pb2_grpc,
    versions_pb2,
    versions_pb2_grpc,
)
from protos.novaray.v1.instances_pb2 import Instance, InstanceOperationMetadata, OperationStep
from tests.gateway.cli.certificates import Certificates
from tests.gateway.cli.disk_service import DiskMethods
from tests.gateway.cli.image_service import Images

PROJECT = "c2e15e8077f54fc5b55ec8987cdff28d"
USER = "ce6e05f1b85e42948daf1cf91dd51c81"
TOKEN = "s3cret"
CONSOLE_TOKEN = "console-t0ken"
PICTURE = (b"\x89PNG\r\n", b"\x1a\n")
FIRST_ID = "840c18ac-0046-49dc-b809-7d83447c6b63"
TEST_IDS = ("3ac597bc-20b7-4cf7-891f-bfa000000001", "d18e20d9-91c6-4914-0b4c-cdad00000002")
MADE_ID = "123b9ecc-9081-40dc-b9e6-de2a1bd10fac"

FLAVORS = (
    ("1", "m1.tiny", 512, 1, 1),
    ("2", "m1.small", 2048, 20, 1),
    ("3", "m1.medium", 4096, 40, 2),
    ("4", "m1.large", 8192, 80, 4),
    ("42", "m1.nano", 64, 0, 1),
    ("5", "m1.xlarge", 16384, 160, 8),
    ("84", "m1.micro", 128, 0, 1),
)
UEC = "cirros-0.3.4-x86_64-uec"
IMAGES = (
    ("0688db6e-1cec-4038-8768-5908e582e989", UEC, "QCOW2"),
    ("ac4ab80a-95f2-4327-a1a7-2f559225629e", f"{UEC}-kernel", "AKI"),
    ("b9859daf-a4b9-4754-a962-21a970289dea", f"{UEC}-ramdisk", "ARI"),
)

BOOT_STEPS = ("claim", "ports", "disk", "domain")


def at(second: float) -> Timestamp:
    """A time of the seed's day."""
    stamp = Timestamp()
    start = datetime.datetime(2015, 9, 22, 3, 24, tzinfo=datetime.UTC)
    stamp.FromDatetime(start + datetime.timedelta(seconds=second))
    return stamp


def refusal(
    code: grpc.StatusCode, reason: str, message: str, *details: Message, **metadata: str
) -> Status:
    """A status as our gateways make them."""
    status = Status(code=code.value[0], message=message)
    for detail in (ErrorInfo(reason=reason, domain="novaray", metadata=metadata), *details):
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def bad_field(field_name: str, problem: str) -> BadRequest:
    return BadRequest(
        field_violations=[BadRequest.FieldViolation(field=field_name, description=problem)]
    )


class Lost(Exception):
    """The connection breaks off here."""


@dataclass
class Cloud:
    """What the server knows, what it was asked, and what it is to do."""

    instances: dict[str, Instance] = field(default_factory=dict)
    operations: dict[str, operations_pb2.Operation] = field(default_factory=dict)
    flavors: list[flavors_pb2.Flavor] = field(default_factory=list)
    images: list[images_pb2.Image] = field(default_factory=list)
    #: The bytes of each, and after how many the next stream breaks off.
    contents: defaultdict[str, bytes] = field(default_factory=lambda: defaultdict(bytes))
    cuts: list[int] = field(default_factory=list)
    hosts: list[hosts_pb2.Host] = field(default_factory=list)
    keypairs: list[keypairs_pb2.Keypair] = field(default_factory=list)
    console: bytes = b""
    #: What comes next for a method: a status, a bare code, or None for an answer.
    refuse: defaultdict[str, list[Status | grpc.StatusCode | None]] = field(
        default_factory=lambda: defaultdict(list)
    )
    #: How new operations end: no status for well.
    outcome: Status | None = None
    #: Answers of one WatchInstances after the other; Lost breaks a stream off.
    streams: list[list[instances_pb2.WatchInstancesResponse | type[Lost]]] = field(
        default_factory=list
    )
    asked: list[tuple[str, Any]] = field(default_factory=list)
    #: Operations are done at once, and not a step at each look.
    quick: bool = False
    #: Operations go no further.
    stuck: bool = False
    page_size: int = 1000
    #: Before each answer, seconds.
    delay: float = 0.0
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def first(self) -> Instance:
        """The instance that was there first."""
        return next(iter(self.instances.values()))

    def requests(self, method: str) -> list[Any]:
        return [request for name, request in self.asked if name == method]

    def add_seed(self) -> None:
        """What the seed's walkthrough shows."""
        for uid, name, memory, disk, vcpus in FLAVORS:
            self.flavors.append(
                flavors_pb2.Flavor(
                    name=f"flavors/{uid}",
                    display_name=name,
                    vcpus=vcpus,
                    memory_mb=memory,
                    disk_gb=disk,
                    rxtx_factor=1.0,
                    public=True,
                )
            )
        # As the real server has them: flavors by memory, images newest first.
        self.flavors.sort(key=lambda f: f.memory_mb)
        for uid, name, form in reversed(IMAGES):
            self.images.append(
                images_pb2.Image(
                    name=f"images/{uid}",
                    display_name=name,
                    state=images_pb2.Image.STATE_ACTIVE,
                    disk_format=images_pb2.Image.DiskFormat.Value(f"DISK_FORMAT_{form}"),
                    size_bytes=13_287_936,
                    virtual_size_bytes=0 if form != "QCOW2" else 41_126_400,
                    sha256="0f" * 32,
                    public=True,
                    create_time=at(-3600),
                )
            )
        self.images[-1].kernel = f"images/{IMAGES[1][0]}"
        self.images[-1].ramdisk = f"images/{IMAGES[2][0]}"
        self.add_instance(FIRST_ID, "MyFirstInstance", "10.0.0.18", made=29)

    def add_keypairs(self) -> None:
        """Two of the caller's."""
        for number, name in enumerate(("laptop", "office pc")):
            self.keypairs.append(
                keypairs_pb2.Keypair(
                    name=f"users/{USER}/keypairs/{name}",
                    display_name=name,
                    type=keypairs_pb2.Keypair.TYPE_SSH,
                    public_key=f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5{number} {name}",
                    fingerprint=f"0f:a2:0a:d7:38:3e:65:45:08:6b:63:84:1c:ff:dc:b{number}",
                    create_time=at(number),
                )
            )

    def add_hosts(self) -> None:
        """One that is up, one that is down."""
        for index, (name, up) in enumerate((("node1", True), ("node2", False)), start=1):
            self.hosts.append(
                hosts_pb2.Host(
                    name=f"hosts/{name}",
                    uid=f"{index}5a0cf6e-6d5b-4c3b-9a51-0d1d7ec0a7e4",
                    state=hosts_pb2.Host.STATE_UP if up else hosts_pb2.Host.STATE_DOWN,
                    trouble="" if up else "libvirt does not answer",
                    enabled=up,
                    disabled_reason="" if up else "new disk",
                    availability_zone="nova",
                    hypervisor="QEMU",
                    hypervisor_version=7_002_000,
                    virt_type="qemu",
                    capacity=hosts_pb2.HostResources(vcpus=32, memory_mb=7680, disk_gb=100),
                    claimed=hosts_pb2.HostResources(vcpus=2, memory_mb=1024, disk_gb=2),
                    instances=2,
                )
            )

    def add_instance(
        self, uid: str, name: str, address: str = "", *, state: str = "ACTIVE", made: float = 0
    ) -> Instance:
        instance = Instance(
            name=f"projects/{PROJECT}/instances/{uid}",
            uid=uid,
            display_name=name,
            flavor=next(f for f in self.flavors if f.display_name == "m1.tiny"),
            image=f"images/{IMAGES[0][0]}",
            image_display_name=UEC,
            user=USER,
            host="node1",
            host_hash="ebaf3a2f0b66226924d1f7d6bc317dcdeab6a3ac4257185675d797ec",
            availability_zone="nova",
            create_time=at(made),
            update_time=at(made + 5),
            launch_time=at(made + 5),
            etag='W/"7"',
            operation=f"operations/{uid}.1",
            config_drive=True,
            memory_mb=512,
            vcpus=1,
        )
        if address:
            instance.addresses.add(
                network="private",
                address=address,
                mac="fa:16:3e:00:00:01",
                port="5f3e0c1a-9d3c-4d0e-8a55-1f6f2f9d1a11",
            )
        set_state(instance, state)
        self.instances[instance.name] = instance
        return instance

    def add_operation(
        self, instance: Instance, action: str, number: int = 1, request_id: str = ""
    ) -> operations_pb2.Operation:
        """One that has just been accepted."""
        steps = BOOT_STEPS if action == "CREATE" else ("domain",)
        meta = InstanceOperationMetadata(
            instance=instance.name,
            action=InstanceOperationMetadata.Action.Value(f"ACTION_{action}"),
            state=InstanceOperationMetadata.STATE_RUNNING,
            attempt=1,
            request_id=request_id or str(uuid.UUID(int=number)),
            host="node1",
            user=USER,
            create_time=at(29),
            update_time=at(29),
        )
        for index, step in enumerate(steps):
            meta.steps.add(
                step=step,
                attempt=1,
                state=OperationStep.STATE_STARTED,
                start_time=at(29 + index * 0.25),
            )
        operation = operations_pb2.Operation(name=f"operations/{instance.uid}.{number}")
        operation.metadata.Pack(meta)
        instance.operation = operation.name
        self.operations[operation.name] = operation
        if self.quick:
            while not operation.done:
                self.look(operation)
        return operation

    def look(self, operation: operations_pb2.Operation) -> None:
        """Move an operation on by a step."""
        if operation.done or self.stuck:
            return
        meta = InstanceOperationMetadata()
        operation.metadata.Unpack(meta)
        undone = [s for s in meta.steps if s.state == OperationStep.STATE_STARTED]
        if undone:
            meta.step = undone[0].step
            undone[0].state = OperationStep.STATE_SUCCEEDED
            undone[0].end_time.FromNanoseconds(undone[0].start_time.ToNanoseconds() + 125_000_000)
            meta.progress_percent = 100 * (len(meta.steps) - len(undone) + 1) // len(meta.steps)
        if len(undone) <= 1:
            self._end(operation, meta)
        operation.metadata.Pack(meta)

    def _end(self, operation: operations_pb2.Operation, meta: InstanceOperationMetadata) -> None:
        operation.done = True
        meta.end_time.CopyFrom(at(34))
        meta.update_time.CopyFrom(at(34))
        instance = self.instances[meta.instance]
        action = InstanceOperationMetadata.Action.Name(meta.action).removeprefix("ACTION_")
        if self.outcome is not None:
            meta.state = InstanceOperationMetadata.STATE_FAILED
            operation.error.CopyFrom(self.outcome)
            set_state(instance, "ERROR")
            instance.fault.reason = "NO_VALID_HOST"
            instance.fault.message = self.outcome.message
            instance.fault.hosts["node1"] = "disk: No space left on device"
            instance.fault.create_time.CopyFrom(at(34))
            return
        meta.state = InstanceOperationMetadata.STATE_SUCCEEDED
        if action == "DELETE":
            del self.instances[meta.instance]
            operation.response.Pack(Empty())
            return
        set_state(instance, ENDS.get(action, "ACTIVE"))
        if action == "CREATE":
            instance.launch_time.CopyFrom(at(34))
            if not instance.addresses:
                instance.addresses.add(network="private", address="10.0.0.9")
        operation.response.Pack(instance)


#: What a server is after an action; ACTIVE after the others.
ENDS = {"STOP": "SHUTOFF", "PAUSE": "PAUSED", "SUSPEND": "SUSPENDED"}


def set_state(instance: Instance, state: str) -> None:
    """All three axes as they go together."""
    vm_state, power, task = {
        "BUILD": ("BUILDING", "NOSTATE", "SCHEDULING"),
        "ACTIVE": ("ACTIVE", "RUNNING", "UNSPECIFIED"),
        "SHUTOFF": ("STOPPED", "SHUTDOWN", "UNSPECIFIED"),
        "PAUSED": ("PAUSED", "PAUSED", "UNSPECIFIED"),
        "SUSPENDED": ("SUSPENDED", "SUSPENDED", "UNSPECIFIED"),
        "ERROR": ("ERROR", "NOSTATE", "UNSPECIFIED"),
    }[state]
    instance.state = Instance.State.Value(f"STATE_{state}")
    instance.vm_state = Instance.VmState.Value(f"VM_STATE_{vm_state}")
    instance.power_state = Instance.PowerState.Value(f"POWER_STATE_{power}")
    instance.task_state = Instance.TaskState.Value(f"TASK_STATE_{task}")


class Service:
    """What all services do first: note the call, check the token, refuse what is to be refused."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud

    def enter(self, request: Any, context: grpc.ServicerContext, method: str) -> None:
        self.cloud.asked.append((method, request))
        given = dict(context.invocation_metadata())
        if given.get("authorization") != f"Bearer {TOKEN}":
            status = refusal(
                grpc.StatusCode.UNAUTHENTICATED, "TOKEN_UNKNOWN", "The bearer token is not valid."
            )
            context.abort_with_status(rpc_status.to_status(status))
        self.cloud.ended.wait(self.cloud.delay)
        if self.cloud.refuse[method]:
            status_or_code = self.cloud.refuse[method].pop(0)
            if isinstance(status_or_code, Status):
                context.abort_with_status(rpc_status.to_status(status_or_code))
            if status_or_code is not None:
                context.abort(status_or_code, "")
        assert context.time_remaining() < 1000, "every call has a deadline"

    def page(self, items: list[Any], request: Any) -> tuple[list[Any], str]:
        start = int(request.page_token or 0)
        size = min(request.page_size or 100, self.cloud.page_size)
        end = start + size
        return items[start:end], str(end) if end < len(items) else ""


class Instances(DiskMethods, Service, instances_pb2_grpc.InstanceServiceServicer):
    def CreateInstance(self, request: Any, context: Any) -> operations_pb2.Operation:
        self.enter(request, context, "CreateInstance")
        for operation in self.cloud.operations.values():
            meta = InstanceOperationMetadata()
            operation.metadata.Unpack(meta)
            if meta.request_id == request.request_id:
                return operation
        instance = self.cloud.add_instance(
            MADE_ID, request.instance.display_name, state="BUILD", made=5
        )
        for time in ("launch_time", "host_hash", "host"):
            instance.ClearField(time)
        instance.update_time.CopyFrom(at(5))
        instance.key_name = request.instance.key_name
        instance.metadata.update(request.instance.metadata)
        # A host may make the drive although nobody asked for it; at first there is none.
        instance.config_drive = request.instance.config_drive
        operation = self.cloud.add_operation(instance, "CREATE", request_id=request.request_id)
        return self._told(request, operation)

    def _told(self, request: Any, operation: operations_pb2.Operation) -> operations_pb2.Operation:
        """The operation as the answer of its call has it."""
        told = InstanceOperationMetadata()
        operation.metadata.Unpack(told)
        told.admin_password = request.admin_password or "u7wKfV3m77Bv"
        answer = operations_pb2.Operation()
        answer.CopyFrom(operation)
        answer.metadata.Pack(told)
        return answer

    def GetInstance(self, request: Any, context: Any) -> Instance:
        self.enter(request, context, "GetInstance")
        return self._find(request.name, context)

    def ListInstances(self, request: Any, context: Any) -> Any:
        self.enter(request, context, "ListInstances")
        found = sorted(
            self.cloud.instances.values(),
            key=lambda i: (i.create_time.seconds, i.uid),
            reverse=True,
        )
        for condition in filter(None, request.filter.split(" AND ")):
            name, _, value = condition.partition(" = ")
            value = value[1:-1].replace('\\"', '"').replace("\\\\", "\\")
            prefix = "STATE_" if name == "state" else ""
            found = [
                i
                for i in found
                if (Instance.State.Name(i.state) if prefix else getattr(i, name)) == prefix + value
            ]
        items, token = self.page(found, request)
        return instances_pb2.ListInstancesResponse(instances=items, next_page_token=token)

    def DeleteInstance(self, request: Any, context: Any) -> operations_pb2.Operation:
        return self._change(request, context, "DELETE")

    def StartInstance(self, request: Any, context: Any) -> operations_pb2.Operation:
        return self._change(request, context, "START")

    def StopInstance(self, request: Any, context: Any) -> operations_pb2.Operation:
        return self._change(request, context, "STOP")

    def RebootInstance(self, request: Any, context: Any) -> operations_pb2.Operation:
        return self._change(request, context, "REBOOT")

    def PauseInstance(self, request: Any, context: Any) -> operations_pb2.Operation:
        return self._change(request, context, "PAUSE")

    def UnpauseInstance(self, request: Any, context: Any) -> operations_pb2.Operation:
        return self._change(request, context, "UNPAUSE")

    def SuspendInstance(self, request: Any, context: Any) -> operations_pb2.Operation:
        return self._change(request, context, "SUSPEND")

    def ResumeInstance(self, request: Any, context: Any) -> operations_pb2.Operation:
        return self._change(request, context, "RESUME")

    def RebuildInstance(self, request: Any, context: Any) -> operations_pb2.Operation:
        answer = self._told(request, self._change(request, context, "REBUILD"))
        self._find(request.name, context).state = Instance.STATE_REBUILD
        return answer

    def RescueInstance(self, request: Any, context: Any) -> operations_pb2.Operation:
        return self._told(request, self._change(request, context, "RESCUE"))

    def UnrescueInstance(self, request: Any, context: Any) -> operations_pb2.Operation:
        return self._change(request, context, "UNRESCUE")

    def ResizeInstance(self, request: Any, context: Any) -> operations_pb2.Operation:
        return self._change(request, context, "RESIZE")

    def ConfirmInstanceResize(self, request: Any, context: Any) -> operations_pb2.Operation:
        return self._change(request, context, "CONFIRM_RESIZE", "ConfirmInstanceResize")

    def RevertInstanceResize(self, request: Any, context: Any) -> operations_pb2.Operation:
        return self._change(request, context, "REVERT_RESIZE", "RevertInstanceResize")

    def ChangeInstanceSize(self, request: Any, context: Any) -> operations_pb2.Operation:
        return self._change(request, context, "CHANGE_SIZE", "ChangeInstanceSize")

    def AttachVolume(self, request: Any, context: Any) -> operations_pb2.Operation:
        return self._change(request, context, "ATTACH_VOLUME", "AttachVolume")

    def DetachVolume(self, request: Any, context: Any) -> operations_pb2.Operation:
        return self._change(request, context, "DETACH_VOLUME", "DetachVolume")

    def CreateInstanceImage(self, request: Any, context: Any) -> operations_pb2.Operation:
        return self._change(request, context, "CREATE_IMAGE", "CreateInstanceImage")

    def BackupInstance(self, request: Any, context: Any) -> operations_pb2.Operation:
        return self._change(request, context, "CREATE_BACKUP", "BackupInstance")

    def ShelveInstance(self, request: Any, context: Any) -> operations_pb2.Operation:
        return self._change(request, context, "SHELVE")

    def OffloadInstance(self, request: Any, context: Any) -> operations_pb2.Operation:
        return self._change(request, context, "SHELVE_OFFLOAD", "OffloadInstance")

    def UnshelveInstance(self, request: Any, context: Any) -> operations_pb2.Operation:
        return self._change(request, context, "UNSHELVE")

    def RestoreInstance(self, request: Any, context: Any) -> operations_pb2.Operation:
        return self._change(request, context, "RESTORE")

    def UpdateInstance(self, request: Any, context: Any) -> Instance:
        self.enter(request, context, "UpdateInstance")
        instance = self._find(request.instance.name, context)
        for path in request.update_mask.paths:
            instance.ClearField(path)
        instance.MergeFrom(request.instance)
        return instance

    def LockInstance(self, request: Any, context: Any) -> Instance:
        self.enter(request, context, "LockInstance")
        instance = self._find(request.name, context)
        instance.locked, instance.locked_reason = True, request.reason
        return instance

    def UnlockInstance(self, request: Any, context: Any) -> Instance:
        self.enter(request, context, "UnlockInstance")
        instance = self._find(request.name, context)
        instance.locked, instance.locked_reason = False, ""
        return instance

    def ResetInstanceState(self, request: Any, context: Any) -> Instance:
        self.enter(request, context, "ResetInstanceState")
        instance = self._find(request.name, context)
        instance.state = request.state
        return instance

    def GetConsoleOutput(self, request: Any, context: Any) -> Any:
        self.enter(request, context, "GetConsoleOutput")
        log = self.cloud.console
        start = max(0, request.offset + len(log)) if request.offset < 0 else request.offset
        data = log[start : start + (request.max_bytes or 65536)]
        return instances_pb2.GetConsoleOutputResponse(data=data, next_offset=start + len(data))

    def WatchInstances(self, request: Any, context: Any) -> Iterator[Any]:
        self.enter(request, context, "WatchInstances")
        if not self.cloud.streams:
            # Nothing more will change.
            self.cloud.ended.wait(20)
            return
        for message in self.cloud.streams.pop(0):
            if message is Lost:
                context.abort(grpc.StatusCode.UNAVAILABLE, "")
            yield message

    def _change(
        self, request: Any, context: Any, action: str, method: str = ""
    ) -> operations_pb2.Operation:
        self.enter(request, context, method or f"{action.title()}Instance")
        instance = self._find(request.name, context)
        return self.cloud.add_operation(instance, action, 2, request.request_id)

    def _find(self, name: str, context: Any) -> Instance:
        if name not in self.cloud.instances:
            status = refusal(
                grpc.StatusCode.NOT_FOUND,
                "INSTANCE_NOT_FOUND",
                f"Instance {name.rpartition('/')[2]} could not be found.",
            )
            context.abort_with_status(rpc_status.to_status(status))
        return self.cloud.instances[name]


class Flavors(Service, flavors_pb2_grpc.FlavorServiceServicer):
    def GetFlavor(self, request: Any, context: Any) -> flavors_pb2.Flavor:
        raise NotImplementedError("nova finds flavors in the list of them")

    def CreateFlavor(self, request: Any, context: Any) -> flavors_pb2.Flavor:
        self.enter(request, context, "CreateFlavor")
        request.flavor.name = f"flavors/{request.flavor_id or MADE_ID}"
        made: flavors_pb2.Flavor = request.flavor
        return made

    def UpdateFlavor(self, request: Any, context: Any) -> flavors_pb2.Flavor:
        self.enter(request, context, "UpdateFlavor")
        return self._find(request.flavor.name)

    def ChangeFlavorExtraSpecs(self, request: Any, context: Any) -> flavors_pb2.Flavor:
        self.enter(request, context, "ChangeFlavorExtraSpecs")
        return self._find(request.name)

    def DeleteFlavor(self, request: Any, context: Any) -> Empty:
        self.enter(request, context, "DeleteFlavor")
        return Empty()

    def ListFlavorAccess(self, request: Any, context: Any) -> Any:
        self.enter(request, context, "ListFlavorAccess")
        return self._access("blue", "green")

    def AddFlavorAccess(self, request: Any, context: Any) -> Any:
        self.enter(request, context, "AddFlavorAccess")
        return self._access("blue", "green", request.project.rpartition("/")[2])

    def RemoveFlavorAccess(self, request: Any, context: Any) -> Any:
        self.enter(request, context, "RemoveFlavorAccess")
        return self._access("blue")

    def _find(self, name: str) -> flavors_pb2.Flavor:
        return next(flavor for flavor in self.cloud.flavors if flavor.name == name)

    def _access(self, *projects: str) -> flavors_pb2.ListFlavorAccessResponse:
        return flavors_pb2.ListFlavorAccessResponse(projects=[f"projects/{p}" for p in projects])

    def ListFlavors(self, request: Any, context: Any) -> Any:
        self.enter(request, context, "ListFlavors")
        items, token = self.page(self.cloud.flavors, request)
        return flavors_pb2.ListFlavorsResponse(flavors=items, next_page_token=token)


class Hosts(Service, hosts_pb2_grpc.HostServiceServicer):
    def GetHost(self, request: Any, context: Any) -> hosts_pb2.Host:
        raise NotImplementedError("nova lists hosts")

    def ListHosts(self, request: Any, context: Any) -> Any:
        self.enter(request, context, "ListHosts")
        items, token = self.page(self.cloud.hosts, request)
        return hosts_pb2.ListHostsResponse(hosts=items, next_page_token=token)


class Keypairs(Service, keypairs_pb2_grpc.KeypairServiceServicer):
    def CreateKeypair(self, request: Any, context: Any) -> keypairs_pb2.Keypair:
        self.enter(request, context, "CreateKeypair")
        return keypairs_pb2.Keypair(
            name=f"users/{USER}/keypairs/{request.keypair_id}",
            display_name=request.keypair_id,
            type=keypairs_pb2.Keypair.TYPE_SSH,
            public_key=request.keypair.public_key,
        )

    def GetKeypair(self, request: Any, context: Any) -> keypairs_pb2.Keypair:
        self.enter(request, context, "GetKeypair")
        wanted = request.name.rpartition("/")[2]
        return next(k for k in self.cloud.keypairs if k.display_name == wanted)

    def ListKeypairs(self, request: Any, context: Any) -> Any:
        self.enter(request, context, "ListKeypairs")
        items, token = self.page(self.cloud.keypairs, request)
        return keypairs_pb2.ListKeypairsResponse(keypairs=items, next_page_token=token)

    def DeleteKeypair(self, request: Any, context: Any) -> Empty:
        self.enter(request, context, "DeleteKeypair")
        return Empty()


class Consoles(Service, consoles_pb2_grpc.ConsoleServiceServicer):
    """A guest that says everything again, in capitals, until it is told to halt."""

    def AttachConsole(self, requests: Iterator[Any], context: Any) -> Iterator[Any]:
        first = next(requests)
        self.cloud.asked.append(("AttachConsole", first))
        self._check(first, context)
        yield consoles_pb2.AttachConsoleResponse()
        for request in requests:
            if b"hang" in request.data:
                self.cloud.ended.wait()
            yield consoles_pb2.AttachConsoleResponse(data=request.data.upper())
            if b"halt" in request.data:
                status = refusal(
                    grpc.StatusCode.FAILED_PRECONDITION, "CONSOLE_ENDED", "The guest has stopped."
                )
                context.abort_with_status(rpc_status.to_status(status))

    def _check(self, first: Any, context: Any) -> None:
        """Either a console token, or an account."""
        given = dict(context.invocation_metadata()).get("authorization")
        expected = None if first.token else f"Bearer {TOKEN}"
        if given != expected or (first.token and first.token != CONSOLE_TOKEN):
            status = refusal(
                grpc.StatusCode.UNAUTHENTICATED, "TOKEN_UNKNOWN", "The token is not valid."
            )
            context.abort_with_status(rpc_status.to_status(status))

    def CreateConsoleToken(self, request: Any, context: Any) -> consoles_pb2.ConsoleToken:
        self.enter(request, context, "CreateConsoleToken")
        return consoles_pb2.ConsoleToken(
            token=CONSOLE_TOKEN, instance=request.name, kind=request.kind, expire_time=at(600)
        )

    def CaptureScreenshot(self, request: Any, context: Any) -> Iterator[Any]:
        self.enter(request, context, "CaptureScreenshot")
        for piece in PICTURE:
            yield consoles_pb2.CaptureScreenshotResponse(content_type="image/png", data=piece)


class Diagnostics(Service, diagnostics_pb2_grpc.DiagnosticsServiceServicer):
    def GetInstanceDiagnostics(
        self, request: Any, context: Any
    ) -> diagnostics_pb2.InstanceDiagnostics:
        self.enter(request, context, "GetInstanceDiagnostics")
        return diagnostics_pb2.InstanceDiagnostics(
            power_state=Instance.POWER_STATE_RUNNING,
            driver="libvirt",
            hypervisor="qemu",
            hypervisor_os="linux",
            uptime_seconds=46_664,
            cpus=[diagnostics_pb2.CpuDiagnostics(id=0, time_ns=17_300_000_000)],
            memory=diagnostics_pb2.MemoryDiagnostics(maximum_mb=512, used_mb=97),
            disks=[
                diagnostics_pb2.DiskDiagnostics(
                    device="vda",
                    read_bytes=262_144,
                    read_requests=112,
                    write_bytes=5_778_432,
                    write_requests=488,
                    errors=1,
                ),
                diagnostics_pb2.DiskDiagnostics(device="vdb"),
            ],
            nics=[
                diagnostics_pb2.NicDiagnostics(
                    mac="01:23:45:67:89:ab",
                    rx_octets=2_070_139,
                    rx_packets=26_701,
                    tx_octets=140_208,
                    tx_packets=662,
                    tx_drop=500,
                )
            ],
        )


class Versions(Service, versions_pb2_grpc.VersionServiceServicer):
    def GetVersion(self, request: Any, context: Any) -> versions_pb2.Version:
        return versions_pb2.Version(release="0.1.0", api_level=1, min_api_level=1)


class Operations(Service, operations_pb2_grpc.OperationsServicer):
    def GetOperation(self, request: Any, context: Any) -> operations_pb2.Operation:
        self.enter(request, context, "GetOperation")
        return self._find(request.name, context)

    def WaitOperation(self, request: Any, context: Any) -> operations_pb2.Operation:
        self.enter(request, context, "WaitOperation")
        operation = self._find(request.name, context)
        self.cloud.look(operation)
        return operation

    def CancelOperation(self, request: Any, context: Any) -> Empty:
        self.enter(request, context, "CancelOperation")
        self._find(request.name, context)
        return Empty()

    def ListOperations(self, request: Any, context: Any) -> Any:
        self.enter(request, context, "ListOperations")
        found = [
            o
            for o in reversed(self.cloud.operations.values())
            if "/instances/" not in request.name
            or o.name.startswith(f"operations/{request.name.rpartition('/')[2]}")
        ]
        items, token = self.page(found, request)
        return operations_pb2.ListOperationsResponse(operations=items, next_page_token=token)

    def _find(self, name: str, context: Any) -> operations_pb2.Operation:
        if name not in self.cloud.operations:
            status = refusal(
                grpc.StatusCode.NOT_FOUND,
                "OPERATION_NOT_FOUND",
                f"Operation {name.rpartition('/')[2]} could not be found.",
            )
            context.abort_with_status(rpc_status.to_status(status))
        return self.cloud.operations[name]


def serve(cloud: Cloud, certificates: Certificates, port: int = 0) -> tuple[grpc.Server, int]:
    """Start a server for a cloud; its port."""
    server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
    instances_pb2_grpc.add_InstanceServiceServicer_to_server(Instances(cloud), server)
    flavors_pb2_grpc.add_FlavorServiceServicer_to_server(Flavors(cloud), server)
    images_pb2_grpc.add_ImageServiceServicer_to_server(Images(Service(cloud)), server)
    hosts_pb2_grpc.add_HostServiceServicer_to_server(Hosts(cloud), server)
    keypairs_pb2_grpc.add_KeypairServiceServicer_to_server(Keypairs(cloud), server)
    consoles_pb2_grpc.add_ConsoleServiceServicer_to_server(Consoles(cloud), server)
    diagnostics_pb2_grpc.add_DiagnosticsServiceServicer_to_server(Diagnostics(cloud), server)
    versions_pb2_grpc.add_VersionServiceServicer_to_server(Versions(cloud), server)
    operations_pb2_grpc.add_OperationsServicer_to_server(  # type: ignore[no-untyped-call]
        Operations(cloud), server
    )
    pair = (certificates.key.read_bytes(), certificates.certificate.read_bytes())
    bound = server.add_secure_port(f"127.0.0.1:{port}", grpc.ssl_server_credentials([pair]))
    # The same server under an address that its certificate does not name.
    server.add_secure_port(f"127.0.0.2:{bound}", grpc.ssl_server_credentials([pair]))
    server.start()
    return server, bound
