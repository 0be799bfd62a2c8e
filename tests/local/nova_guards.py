"""Nova's guard table, written down a second time.

The rows are the decorators of ``nova/compute/api.py`` (``check_instance_state``), copied from there
by hand and not from ``actors.lifecycle.guards``. Actions that are not served yet stand here too:
they are checked as soon as there is an ``Action`` of that name.
"""

from typing import Final

from actors.model.instance import TaskState, VmState

EVERY: Final = frozenset(state.value for state in VmState) - {"deleted"}
ANY_TASK: Final = frozenset(task.value for task in TaskState)
WITH_A_DISK: Final = {"active", "stopped", "paused", "suspended"}
WITH_VOLUMES: Final = {
    "active", "paused", "stopped", "resized", "soft-delete", "shelved", "shelved_offloaded"
}  # fmt: skip

#: Nova's states by its name of the action (``instance_actions.py``).
STATES: Final[dict[str, set[str] | frozenset[str]]] = {
    "create": set(),
    "delete": EVERY,
    "softDelete": EVERY,
    "restore": {"soft-delete"},
    "stop": {"active", "error"},
    "start": {"stopped"},
    "reboot": {"active", "stopped", "paused", "suspended", "error"},
    "pause": {"active"},
    "unpause": {"paused"},
    "suspend": {"active"},
    "resume": {"suspended"},
    "rescue": {"active", "stopped", "error"},
    "unrescue": {"rescued"},
    "rebuild": {"active", "stopped", "error"},
    "resize": {"active", "stopped"},
    "migrate": {"active", "stopped"},
    "confirmResize": {"resized"},
    "revertResize": {"resized"},
    "live-migration": {"active", "paused"},
    "evacuate": {"active", "stopped", "error"},
    "shelve": WITH_A_DISK,
    "shelveOffload": {"shelved"},
    "unshelve": {"shelved", "shelved_offloaded"},
    "createImage": WITH_A_DISK,
    "createBackup": WITH_A_DISK,
    "changePassword": {"active"},
    "attach_volume": WITH_VOLUMES,
    "detach_volume": WITH_VOLUMES,
    "swap_volume": {"active", "paused", "resized"},
    "attach_interface": {"active", "paused", "stopped"},
    "detach_interface": {"active", "paused", "stopped"},
    "trigger_crash_dump": {"active", "paused", "rescued", "resized", "error"},
    # Ours: a guest that stands still cannot give back what it is asked for.
    "changeSize": {"active"},
}

#: What may be in flight besides nothing. Nova's words for the stages of a reboot are one of ours
#: (``reboot_pending``, ``reboot_started``: ``rebooting``).
TASKS: Final[dict[str, set[str] | frozenset[str]]] = {
    "delete": ANY_TASK,
    "softDelete": ANY_TASK,
    "reboot": {
        "rebooting",
        "rebooting_hard",
        "pausing",
        "unpausing",
        "suspending",
        "resuming",
    },
    "evacuate": ANY_TASK,
}

#: Where we let an action begin in more states than Nova, or in fewer, and why.
DIFFERS: Final[dict[str, set[str]]] = {}

#: What we do not let an action interrupt, though Nova does. A soft delete that cuts a rebuild or a
#: rescue off between two disks would keep something that no restore can start; one that cuts an
#: attach off, a volume that nobody has.
LEFT_ALONE: Final[dict[str, set[str]]] = {
    "softDelete": {
        *("rebuilding", "rescuing", "unrescuing"),
        *("resize_prep", "resize_migrating", "resize_finish"),
        *("resize_confirming", "resize_reverting"),
        *("taking_snapshot", "restoring_snapshot", "deleting_snapshot", "changing_size"),
        *("attaching_volume", "detaching_volume"),
    }
}

#: Nova has no such action.
OURS: Final = {
    "clone",
    "takeSnapshot",
    "restoreSnapshot",
    "deleteSnapshot",
}


def expected(action: str, state: VmState, task: TaskState | None) -> tuple[str, str] | None:
    """The reason of the refusal and the word that says why; None where it may begin.

    Args:
        action: Nova's name.
        state: Of the instance.
        task: What is being done to it.
    """
    if state.value not in STATES[action] ^ DIFFERS.get(action, set()):
        return "INVALID_STATE", state.value
    interrupted = TASKS.get(action, set()) - LEFT_ALONE.get(action, set())
    if task is not None and task.value not in interrupted:
        return "INSTANCE_BUSY", task.value.replace("-", " ").replace("_", " ")
    return None
