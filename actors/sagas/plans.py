"""Every action's saga."""

from typing import Final

from actors.model.operation import Action
from actors.sagas.boot import BOOT
from actors.sagas.delete import DELETE
from actors.sagas.power import START, STOP
from actors.sagas.saga import Saga

SAGAS: Final[dict[Action, Saga]] = {saga.action: saga for saga in (BOOT, DELETE, STOP, START)}
