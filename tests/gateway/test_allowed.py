"""What may begin in which state, over the wire: as Nova's table says, and refused in a sentence."""

from typing import Any, Final

import grpc
import pytest

from actors.model.instance import TaskState, VmState
from protos.novaray.v1 import instances_pb2 as pb
from tests.gateway.cloud import DISK, NOW, Cloud, create, refused
from tests.local.nova_guards import expected

#: Nova's name of the action, the method, and what its request needs besides the instance's name.
CALLS: Final[tuple[tuple[str, str, dict[str, Any]], ...]] = (
    ("stop", "StopInstance", {}),
    ("start", "StartInstance", {}),
    ("reboot", "RebootInstance", {"hard": True}),
    ("pause", "PauseInstance", {}),
    ("unpause", "UnpauseInstance", {}),
    ("suspend", "SuspendInstance", {}),
    ("resume", "ResumeInstance", {}),
    ("restore", "RestoreInstance", {}),
    ("rebuild", "RebuildInstance", {"image": f"images/{DISK}"}),
    ("rescue", "RescueInstance", {}),
    ("unrescue", "UnrescueInstance", {}),
    ("resize", "ResizeInstance", {"flavor": "flavors/2"}),
    ("confirmResize", "ConfirmInstanceResize", {}),
    ("revertResize", "RevertInstanceResize", {}),
    ("createImage", "CreateInstanceImage", {"image_display_name": "copy"}),
    (
        "createBackup",
        "BackupInstance",
        {"image_display_name": "copy", "backup_type": "daily", "rotation": 1},
    ),
    ("shelve", "ShelveInstance", {}),
    ("shelveOffload", "OffloadInstance", {}),
    ("unshelve", "UnshelveInstance", {}),
    ("changeSize", "ChangeInstanceSize", {"vcpus": 1}),
    ("delete", "DeleteInstance", {}),
)
#: What is being done to the instance: nothing, something short, something that reboots interrupt.
TASKS: Final = (None, TaskState.POWERING_ON, TaskState.SUSPENDING)


@pytest.mark.parametrize(("action", "method", "fields"), CALLS, ids=[call[0] for call in CALLS])
async def test_each_state(cloud: Cloud, action: str, method: str, fields: dict[str, Any]) -> None:
    cloud.compute.settle = False
    await cloud.member.instances.CreateInstance(create())
    (born,) = cloud.compute.instances.records.values()
    born = born.evolve(launched=NOW)
    name = f"projects/{born.project}/instances/{born.id}"
    call = getattr(cloud.member.instances, method)
    request = getattr(pb, f"{method}Request")
    for state in set(VmState) - {VmState.DELETED}:
        for task in TASKS:
            placed = born.evolve(vm_state=state, task_state=task)
            cloud.compute.instances.records[born.id] = placed
            why = expected(action, state, task)
            if why is None:
                operation = await call(request(name=name, **fields))
                assert operation.name.startswith(f"operations/{born.id}.")
                continue
            problem = await refused(
                call(request(name=name, **fields)), grpc.StatusCode.FAILED_PRECONDITION, why[0]
            )
            assert str(born.id) in problem.message
            assert why[1] in problem.message
            assert problem.info.metadata["action"] == action
            assert problem.info.metadata["vm_state"] == state.value
            assert problem.info.metadata["task_state"] == (task.value if task else "")
