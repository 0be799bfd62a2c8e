"""The server's calls, typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from gateway.cli.calls import failure_of, pages
from gateway.cli.catalog_calls import CatalogCalls
from gateway.cli.clone_calls import CloneCalls
from gateway.cli.console_calls import ConsoleCalls
from gateway.cli.edit_calls import EditCalls
from gateway.cli.image_calls import ImageCalls
from gateway.cli.keeping_calls import KeepingCalls
from gateway.cli.network_calls import NetworkCalls
from gateway.cli.rebuild_calls import RebuildCalls
from gateway.cli.resize_calls import ResizeCalls
from gateway.cli.volume_calls import VolumeCalls

# isort: split
import grpc
from google.longrunning import operations_pb2, operations_pb2_grpc

from protos.novaray.v1 import (
    hosts_pb2,
    hosts_pb2_grpc,
    instances_pb2,
    instances_pb2_grpc,
    versions_pb2,
    versions_pb2_grpc,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.empty_pb2 import Empty
    from grpc import UnaryUnaryMultiCallable as _Unary

ALL_PROJECTS: Final = "-"
#: A stream is begun anew after so many seconds: a connection that died without a word is noticed
#: then, and a token makes it cost nothing.
STREAM_SECONDS: Final = 120.0


class _Operations(Protocol):
    """The stub of google.longrunning.Operations, as far as it is used here."""

    GetOperation: _Unary[operations_pb2.GetOperationRequest, operations_pb2.Operation]
    WaitOperation: _Unary[operations_pb2.WaitOperationRequest, operations_pb2.Operation]
    CancelOperation: _Unary[operations_pb2.CancelOperationRequest, Empty]
    ListOperations: _Unary[
        operations_pb2.ListOperationsRequest, operations_pb2.ListOperationsResponse
    ]


class Client(
    CatalogCalls,
    CloneCalls,
    ConsoleCalls,
    EditCalls,
    ImageCalls,
    KeepingCalls,
    NetworkCalls,
    RebuildCalls,
    ResizeCalls,
    VolumeCalls,
):
    """One user's connection to one gateway."""

    @property
    def parent(self) -> str:
        """``projects/{project}`` of this user."""
        return f"projects/{self._connection.project}"

    def instance_name(self, uid: str) -> str:
        """The resource name of an instance of this project."""
        return f"{self.parent}/instances/{uid}"

    # --- instances ----------------------------------------------------------------------------

    def create_instance(
        self, request: instances_pb2.CreateInstanceRequest
    ) -> operations_pb2.Operation:
        """Make an instance; ``parent`` is filled in."""
        request.parent = self.parent
        return self._call(self._instances.CreateInstance, request)

    def get_instance(self, name: str) -> instances_pb2.Instance:
        """One instance, by resource name."""
        return self._call(self._instances.GetInstance, instances_pb2.GetInstanceRequest(name=name))

    def list_instances(
        self, filter_text: str = "", *, all_projects: bool = False, limit: int | None = None
    ) -> Iterator[instances_pb2.Instance]:
        """Instances, newest first; pages are fetched as they are needed."""
        parent = f"projects/{ALL_PROJECTS}" if all_projects else self.parent

        def page(token: str, size: int) -> tuple[list[instances_pb2.Instance], str]:
            request = instances_pb2.ListInstancesRequest(
                parent=parent, page_size=size, page_token=token, filter=filter_text
            )
            response = self._call(self._instances.ListInstances, request)
            return list(response.instances), response.next_page_token

        return pages(page, limit)

    def delete_instance(self, name: str, request_id: str) -> operations_pb2.Operation:
        """Delete an instance."""
        request = instances_pb2.DeleteInstanceRequest(name=name, request_id=request_id)
        return self._call(self._instances.DeleteInstance, request)

    def start_instance(self, name: str, request_id: str) -> operations_pb2.Operation:
        """Start an instance."""
        request = instances_pb2.StartInstanceRequest(name=name, request_id=request_id)
        return self._call(self._instances.StartInstance, request)

    def stop_instance(
        self, name: str, request_id: str, grace_seconds: float | None
    ) -> operations_pb2.Operation:
        """Shut an instance down."""
        request = instances_pb2.StopInstanceRequest(
            name=name, request_id=request_id, grace_seconds=grace_seconds
        )
        return self._call(self._instances.StopInstance, request)

    def reboot_instance(
        self, name: str, request_id: str, *, hard: bool, grace_seconds: float | None
    ) -> operations_pb2.Operation:
        """Reboot an instance."""
        request = instances_pb2.RebootInstanceRequest(
            name=name, request_id=request_id, hard=hard, grace_seconds=grace_seconds
        )
        return self._call(self._instances.RebootInstance, request)

    def pause_instance(self, name: str, request_id: str) -> operations_pb2.Operation:
        """Stop a guest's clock."""
        request = instances_pb2.PauseInstanceRequest(name=name, request_id=request_id)
        return self._call(self._instances.PauseInstance, request)

    def unpause_instance(self, name: str, request_id: str) -> operations_pb2.Operation:
        """Let a paused guest run on."""
        request = instances_pb2.UnpauseInstanceRequest(name=name, request_id=request_id)
        return self._call(self._instances.UnpauseInstance, request)

    def suspend_instance(self, name: str, request_id: str) -> operations_pb2.Operation:
        """Write a guest's memory to disk."""
        request = instances_pb2.SuspendInstanceRequest(name=name, request_id=request_id)
        return self._call(self._instances.SuspendInstance, request)

    def resume_instance(self, name: str, request_id: str) -> operations_pb2.Operation:
        """Bring a suspended guest back."""
        request = instances_pb2.ResumeInstanceRequest(name=name, request_id=request_id)
        return self._call(self._instances.ResumeInstance, request)

    def console(
        self, name: str, offset: int, max_bytes: int
    ) -> instances_pb2.GetConsoleOutputResponse:
        """A piece of the console log."""
        request = instances_pb2.GetConsoleOutputRequest(
            name=name, offset=offset, max_bytes=max_bytes
        )
        return self._call(self._instances.GetConsoleOutput, request)

    def watch(
        self, resume_token: str, *, all_projects: bool
    ) -> Iterator[instances_pb2.WatchInstancesResponse]:
        """Changes until the stream ends: the caller begins anew with the last token.

        Raises:
            Failure: Its ``passing`` tells a lost connection from a refusal.
        """
        parent = f"projects/{ALL_PROJECTS}" if all_projects else self.parent
        request = instances_pb2.WatchInstancesRequest(parent=parent, resume_token=resume_token)
        try:
            yield from self._instances.WatchInstances(
                request, timeout=STREAM_SECONDS, metadata=self._metadata
            )
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
                raise failure_of(error, self._connection.endpoint) from error

    # --- the rest -----------------------------------------------------------------------------

    def list_hosts(self) -> Iterator[hosts_pb2.Host]:
        """All hosts, by name. For admins."""
        stub = hosts_pb2_grpc.HostServiceStub(self._channel)

        def page(token: str, size: int) -> tuple[list[hosts_pb2.Host], str]:
            request = hosts_pb2.ListHostsRequest(page_size=size, page_token=token)
            response = self._call(stub.ListHosts, request)
            return list(response.hosts), response.next_page_token

        return pages(page)

    def version(self) -> versions_pb2.Version:
        """What the server speaks."""
        stub = versions_pb2_grpc.VersionServiceStub(self._channel)
        return self._call(stub.GetVersion, versions_pb2.GetVersionRequest())

    # --- operations ---------------------------------------------------------------------------

    def get_operation(self, operation_id: str) -> operations_pb2.Operation:
        """One operation."""
        request = operations_pb2.GetOperationRequest(name=f"operations/{operation_id}")
        return self._call(self._operations.GetOperation, request)

    def wait_operation(self, operation_id: str, seconds: float) -> operations_pb2.Operation:
        """One operation once it has ended, or as it is after so many seconds."""
        request = operations_pb2.WaitOperationRequest(name=f"operations/{operation_id}")
        request.timeout.FromMilliseconds(int(seconds * 1000))
        return self._call(self._operations.WaitOperation, request, timeout=self._timeout + seconds)

    def cancel_operation(self, operation_id: str) -> None:
        """Ask an operation to end early and undo itself."""
        request = operations_pb2.CancelOperationRequest(name=f"operations/{operation_id}")
        self._call(self._operations.CancelOperation, request)

    def list_operations(
        self, instance: str | None = None, *, limit: int | None = None
    ) -> Iterator[operations_pb2.Operation]:
        """Operations of the project, or of one instance (its resource name), newest first."""

        def page(token: str, size: int) -> tuple[list[operations_pb2.Operation], str]:
            request = operations_pb2.ListOperationsRequest(
                name=instance or self.parent, page_size=size, page_token=token
            )
            response = self._call(self._operations.ListOperations, request)
            return list(response.operations), response.next_page_token

        return pages(page, limit)

    # ------------------------------------------------------------------------------------------

    @property
    def _instances(self) -> instances_pb2_grpc.InstanceServiceStub:
        return instances_pb2_grpc.InstanceServiceStub(self._channel)

    @property
    def _operations(self) -> _Operations:
        # The googleapis package has no types for its stubs.
        return operations_pb2_grpc.OperationsStub(self._channel)  # type: ignore[no-untyped-call]
