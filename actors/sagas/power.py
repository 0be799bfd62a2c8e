"""Stop and start: what the power button does.

Neither has an undo: a stop that failed half-way left the guest running or not, and the power
state tells which.
"""

from actors.model.operation import Action
from actors.ports.host import HostStep
from actors.sagas.saga import Saga, Step

#: The grace time comes on top of the deadline (``OperationRecord.grace_seconds``).
STOP = Saga(Action.STOP, (Step("domain", HostStep.ENSURE_STOPPED, deadline_seconds=60.0),))

START = Saga(
    Action.START,
    (
        # The host may have been restarted since, and its bridges with it.
        Step("network", HostStep.ENSURE_NETWORK),
        Step("image", HostStep.ENSURE_IMAGE, deadline_seconds=600.0),
        Step("domain", HostStep.ENSURE_RUNNING, deadline_seconds=60.0),
    ),
)
