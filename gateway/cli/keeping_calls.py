"""Calls that keep instances as images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.cli.calls import Calls
from protos.novaray.v1 import instances_pb2 as pb
from protos.novaray.v1 import instances_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.longrunning.operations_pb2 import Operation


class KeepingCalls(Calls):
    """Images and backups of instances, and shelves."""

    def create_instance_image(
        self, name: str, request_id: str, image: str, properties: Mapping[str, str]
    ) -> Operation:
        """Make an image of an instance."""
        request = pb.CreateInstanceImageRequest(
            name=name, request_id=request_id, image_display_name=image, properties=properties
        )
        return self._call(self._keeping.CreateInstanceImage, request)

    def backup_instance(
        self, name: str, request_id: str, image: str, kind: str, rotation: int
    ) -> Operation:
        """Make an image, and delete the oldest of its kind."""
        request = pb.BackupInstanceRequest(
            name=name,
            request_id=request_id,
            image_display_name=image,
            backup_type=kind,
            rotation=rotation,
        )
        return self._call(self._keeping.BackupInstance, request)

    def shelve_instance(self, name: str, request_id: str) -> Operation:
        """Keep an instance as an image."""
        request = pb.ShelveInstanceRequest(name=name, request_id=request_id)
        return self._call(self._keeping.ShelveInstance, request)

    def offload_instance(self, name: str, request_id: str) -> Operation:
        """Take a shelved instance from its host."""
        request = pb.OffloadInstanceRequest(name=name, request_id=request_id)
        return self._call(self._keeping.OffloadInstance, request)

    def unshelve_instance(self, name: str, request_id: str, host: str) -> Operation:
        """Bring a shelved instance back."""
        request = pb.UnshelveInstanceRequest(name=name, request_id=request_id, host=host)
        return self._call(self._keeping.UnshelveInstance, request)

    @property
    def _keeping(self) -> instances_pb2_grpc.InstanceServiceStub:
        return instances_pb2_grpc.InstanceServiceStub(self._channel)
