"""Every action's saga."""

from typing import Final

from actors.model.operation import Action
from actors.sagas.boot import BOOT
from actors.sagas.delete import DELETE
from actors.sagas.disk_snapshots import DELETE_SNAPSHOT, RESTORE_SNAPSHOT, TAKE_SNAPSHOT
from actors.sagas.live_size import CHANGE_SIZE
from actors.sagas.power import (
    PAUSE,
    REBOOT,
    RESTORE,
    RESUME,
    SOFT_DELETE,
    START,
    STOP,
    SUSPEND,
    UNPAUSE,
)
from actors.sagas.rebuild import REBUILD
from actors.sagas.rescue import RESCUE, UNRESCUE
from actors.sagas.resize import CONFIRM_RESIZE, RESIZE, REVERT_RESIZE
from actors.sagas.saga import Saga
from actors.sagas.shelve import SHELVE, SHELVE_OFFLOAD, UNSHELVE
from actors.sagas.snapshot import CREATE_BACKUP, CREATE_IMAGE
from actors.sagas.volumes import ATTACH_VOLUME, DETACH_VOLUME

SAGAS: Final[dict[Action, Saga]] = {
    saga.action: saga
    for saga in (
        BOOT,
        DELETE,
        STOP,
        START,
        REBOOT,
        PAUSE,
        UNPAUSE,
        SUSPEND,
        RESUME,
        SOFT_DELETE,
        RESTORE,
        REBUILD,
        RESCUE,
        UNRESCUE,
        RESIZE,
        CONFIRM_RESIZE,
        REVERT_RESIZE,
        CREATE_IMAGE,
        CREATE_BACKUP,
        SHELVE,
        SHELVE_OFFLOAD,
        UNSHELVE,
        ATTACH_VOLUME,
        DETACH_VOLUME,
        TAKE_SNAPSHOT,
        RESTORE_SNAPSHOT,
        DELETE_SNAPSHOT,
        CHANGE_SIZE,
    )
}
