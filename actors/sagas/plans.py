"""Every action's saga."""

from typing import Final

from actors.model.operation import Action
from actors.sagas.boot import BOOT
from actors.sagas.delete import DELETE
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
from actors.sagas.saga import Saga

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
    )
}
