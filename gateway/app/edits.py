"""What describes an instance, its lock and its state: who may change them without an operation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from actors.model.edits import (
    InstanceEdit,
    LockInstance,
    ResetState,
    UnlockInstance,
    UpdateInstance,
)
from actors.model.errors import NotFound
from actors.model.identity import Principal, Role
from actors.model.ids import InstanceId, ProjectId
from actors.model.instance import InstanceRecord, VmState
from actors.ports.compute import Instances
from gateway.app.auth import is_admin, need_role
from gateway.app.instances import unknown_instance


@dataclass(frozen=True, slots=True)
class Target:
    """Which instance is meant, and as which generation it was seen; nothing of it is checked."""

    project: ProjectId
    instance: InstanceId
    generation: int | None = None


class EditCases:
    """What changes at once. Each answers with the instance as it became, and may be repeated.

    All of them raise:
        NotFound: No such instance in the project, or another project.
        Forbidden: A reader; of a reset, somebody who is no admin.
        Conflict: A lock or its state forbids it.
        Stale: It is not what the caller saw.
    """

    def __init__(self, instances: Instances) -> None:
        self._instances = instances

    async def update(
        self, caller: Principal, target: Target, changes: Mapping[str, Any]
    ) -> InstanceRecord:
        """Describe it anew: the fields of ``UpdateInstance``.

        Raises:
            pydantic.ValidationError: A field breaks a limit of ``UpdateInstance``.
        """
        return await self._edit(caller, target, UpdateInstance, changes)

    async def lock(self, caller: Principal, target: Target, reason: str) -> InstanceRecord:
        """Keep all but admins from changing it.

        Raises:
            pydantic.ValidationError: The reason breaks a limit of ``LockInstance``.
        """
        return await self._edit(caller, target, LockInstance, {"reason": reason})

    async def unlock(self, caller: Principal, target: Target) -> InstanceRecord:
        """Let it be changed again."""
        return await self._edit(caller, target, UnlockInstance, {})

    async def reset_state(
        self, caller: Principal, target: Target, vm_state: VmState
    ) -> InstanceRecord:
        """Say what it is, and end what is being done to it.

        Raises:
            pydantic.ValidationError: It cannot be reset to this state.
        """
        return await self._edit(caller, target, ResetState, {"vm_state": vm_state}, Role.ADMIN)

    async def _edit(
        self,
        caller: Principal,
        target: Target,
        kind: type[InstanceEdit],
        fields: Mapping[str, Any],
        role: Role = Role.MEMBER,
    ) -> InstanceRecord:
        if target.project != caller.project and not is_admin(caller):
            raise unknown_instance(target.instance)
        need_role(caller, role)
        edit = kind(
            instance=target.instance,
            project=target.project,
            user=caller.user,
            admin=is_admin(caller),
            generation=target.generation,
            **fields,
        )
        try:
            return await self._instances.edit(edit)
        except NotFound as error:
            # In the same words as for another project's.
            raise unknown_instance(target.instance) from error
