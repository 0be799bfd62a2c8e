"""What the scripted cloud does with disks: clones and snapshots."""

from typing import Any

from google.longrunning.operations_pb2 import Operation

from protos.novaray.v1 import instances_pb2 as pb


class DiskMethods:
    """A part of ``cloud.Instances``."""

    def CloneInstance(self: Any, request: Any, context: Any) -> Operation:
        name = request.display_name or f"{self._find(request.name, context).display_name}-clone"
        self.enter(request, context, "CloneInstance")
        create = pb.CreateInstanceRequest(request_id=request.request_id)
        create.instance.display_name = name
        made: Operation = self.CreateInstance(create, context)
        return made

    def TakeInstanceSnapshot(self: Any, request: Any, context: Any) -> Operation:
        made: Operation = self._change(request, context, "TAKE_SNAPSHOT", "TakeInstanceSnapshot")
        found = self._find(request.name, context)
        taken = found.snapshots.add(display_name=request.snapshot, disk_gb=1)
        taken.create_time.CopyFrom(found.create_time)
        return made

    def RestoreInstanceSnapshot(self: Any, request: Any, context: Any) -> Operation:
        method = "RestoreInstanceSnapshot"
        made: Operation = self._change(request, context, "RESTORE_SNAPSHOT", method)
        return made

    def DeleteInstanceSnapshot(self: Any, request: Any, context: Any) -> Operation:
        method = "DeleteInstanceSnapshot"
        made: Operation = self._change(request, context, "DELETE_SNAPSHOT", method)
        return made
