"""Delete: nothing of the instance is left, whatever it was doing.

No step has an undo: a delete only ever goes forward.
"""

from actors.model.operation import Action
from actors.ports.host import HostStep
from actors.sagas.boot import release_claim, remove_ports
from actors.sagas.saga import Saga, Step
from actors.sagas.shelve import forget_shelved
from actors.sagas.volumes import release_volumes

DELETE = Saga(
    Action.DELETE,
    (
        Step("domain", HostStep.ENSURE_ABSENT, deadline_seconds=60.0),
        Step("disk", HostStep.REMOVE_DISK),
        Step("network", HostStep.REMOVE_NETWORK),
        # Last: what the instance held may only go to another when the guest is gone.
        Step("ports", remove_ports),
        Step("claim", release_claim, beside=True),
        Step("shelved", forget_shelved, beside=True),
        Step("volumes", release_volumes, beside=True),
    ),
    only_forward=True,
)
