"""Calls that change an instance's size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.cli.calls import Calls
from protos.novaray.v1 import instances_pb2 as pb
from protos.novaray.v1 import instances_pb2_grpc

if TYPE_CHECKING:
    from google.longrunning.operations_pb2 import Operation


class ResizeCalls(Calls):
    """Resize, confirm, revert; and without a restart."""

    def resize_instance(self, name: str, request_id: str, flavor: str) -> Operation:
        """Give an instance another flavor, by resource name."""
        request = pb.ResizeInstanceRequest(name=name, request_id=request_id, flavor=flavor)
        return self._call(self._resizes.ResizeInstance, request)

    def change_size(
        self, name: str, request_id: str, memory_mb: int | None, vcpus: int | None
    ) -> Operation:
        """Change memory and vCPUs of a guest that runs; None leaves them as they are."""
        request = pb.ChangeInstanceSizeRequest(
            name=name, request_id=request_id, memory_mb=memory_mb, vcpus=vcpus
        )
        return self._call(self._resizes.ChangeInstanceSize, request)

    def confirm_resize(self, name: str, request_id: str) -> Operation:
        """Keep the new size."""
        request = pb.ConfirmInstanceResizeRequest(name=name, request_id=request_id)
        return self._call(self._resizes.ConfirmInstanceResize, request)

    def revert_resize(self, name: str, request_id: str) -> Operation:
        """Bring the old size back."""
        request = pb.RevertInstanceResizeRequest(name=name, request_id=request_id)
        return self._call(self._resizes.RevertInstanceResize, request)

    @property
    def _resizes(self) -> instances_pb2_grpc.InstanceServiceStub:
        return instances_pb2_grpc.InstanceServiceStub(self._channel)
