"""Python handles on one VM, over instances in memory."""

import pytest

from actors.model.commands import CreateInstance, InstanceCommand
from actors.model.details import Rebuild, Rebuilt, RescueBoot, Unrescue
from actors.model.errors import Conflict
from actors.model.instance import Lock, VmState
from actors.model.operation import Action
from cluster.connect import InstanceHandle
from tests.fakes.memory_compute import MemoryInstances
from tests.gateway.cloud import make_compute
from tests.local.records import instance


@pytest.fixture
def instances() -> MemoryInstances:
    return make_compute().instances


@pytest.fixture
async def vm(instances: MemoryInstances) -> InstanceHandle:
    like = instance()
    accepted = await instances.create(
        CreateInstance(
            instance=like.id,
            project=like.project,
            user=like.user,
            request_id=like.request_id,
            name=like.name,
            flavor=like.flavor,
            source=like.source,
        )
    )
    return InstanceHandle(instances, accepted.instance.id)  # type: ignore[arg-type]


async def test_edits(vm: InstanceHandle) -> None:
    after = await vm.update(name="web", metadata={"k": "v"}, tags=["blue"])
    assert (after.name, after.metadata, after.tags) == ("web", {"k": "v"}, ("blue",))
    assert (await vm.update(description="first")).metadata == {"k": "v"}
    assert (await vm.lock("audit")).lock == Lock(user=after.user, by_admin=True).evolve(
        user="operator", reason="audit"
    )
    assert (await vm.reset_state(VmState.ERROR)).vm_state is VmState.ERROR
    assert (await vm.unlock()).lock is None


async def test_a_lock_keeps_no_handle_back(vm: InstanceHandle, instances: MemoryInstances) -> None:
    await vm.lock()
    await vm.stop()
    assert instances.records[vm.id].vm_state is VmState.STOPPED


async def test_an_instance_is_rebuilt_and_rescued(
    vm: InstanceHandle, instances: MemoryInstances
) -> None:
    source = instances.records[vm.id].source
    await vm.rebuild(source.evolve(image_name="other"), grace_seconds=5)
    await vm.rescue()
    assert instances.records[vm.id].vm_state is VmState.RESCUED
    await vm.unrescue()
    assert instances.records[vm.id].vm_state is VmState.ACTIVE
    _, rebuild, rescue, unrescue = instances.commands
    assert isinstance(rebuild, InstanceCommand)
    assert isinstance(rescue, InstanceCommand)
    assert isinstance(unrescue, InstanceCommand)
    assert rebuild.details == Rebuild(to=Rebuilt(source=source.evolve(image_name="other")))
    assert rebuild.grace_seconds == 5
    assert rescue.details == RescueBoot(source=source)
    assert unrescue.details == Unrescue()


async def test_a_delete_is_taken_back(vm: InstanceHandle, instances: MemoryInstances) -> None:
    instances.keeps = True
    with pytest.raises(Conflict):
        await vm.restore()
    await vm.delete()
    await vm.restore()
    await vm.delete(force=True)
    assert [operation.action for operation in instances.ops.values()] == [
        Action.CREATE,
        Action.SOFT_DELETE,
        Action.RESTORE,
        Action.DELETE,
    ]
