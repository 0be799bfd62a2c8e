"""What the power button does, and what a hypervisor can do besides: pause and suspend.

None of them has an undo: what failed half-way left the guest running or not, and the power state
tells which.
"""

from dataclasses import replace
from typing import Final

from actors.model.operation import Action
from actors.ports.host import HostStep
from actors.sagas.resize import SETTLE
from actors.sagas.saga import Saga, Step
from actors.sagas.snapshot import forget_unfinished, is_unfinished

#: How a guest is started that has its disk. The host may have been restarted since, and its bridges
#: with it.
_TO_RUNNING: Final = (
    Step("network", HostStep.ENSURE_NETWORK),
    Step("image", HostStep.ENSURE_IMAGE, deadline_seconds=600.0),
    Step("domain", HostStep.ENSURE_RUNNING, deadline_seconds=60.0),
)

#: The grace time comes on top of the deadline (``OperationRecord.grace_seconds``).
STOP = Saga(Action.STOP, (Step("domain", HostStep.ENSURE_STOPPED, deadline_seconds=60.0),))

START = Saga(Action.START, _TO_RUNNING)

#: Stop and start in one step of the host: whoever repeats it must not reboot twice.
REBOOT = Saga(
    Action.REBOOT,
    (
        Step("network", HostStep.ENSURE_NETWORK),
        Step("image", HostStep.ENSURE_IMAGE, deadline_seconds=600.0),
        Step("domain", HostStep.ENSURE_REBOOTED, deadline_seconds=120.0),
    ),
)

PAUSE = Saga(Action.PAUSE, (Step("domain", HostStep.ENSURE_PAUSED),))
UNPAUSE = Saga(Action.UNPAUSE, (Step("domain", HostStep.ENSURE_UNPAUSED),))

#: The guest's memory goes to disk and comes back from there: 34 MiB/s, should the disk be slow.
_SECONDS_PER_GIB: Final = 30.0

SUSPEND = Saga(
    Action.SUSPEND,
    (
        Step(
            "domain",
            HostStep.ENSURE_SUSPENDED,
            deadline_seconds=120.0,
            seconds_per_gib=_SECONDS_PER_GIB,
        ),
    ),
)
#: libvirt starts a domain from its saved memory where it has one.
RESUME = Saga(
    Action.RESUME,
    (
        *_TO_RUNNING[:-1],
        replace(_TO_RUNNING[-1], seconds_per_gib=_SECONDS_PER_GIB),
    ),
)

SOFT_DELETE = Saga(
    Action.SOFT_DELETE,
    (
        Step("domain", HostStep.ENSURE_STOPPED, deadline_seconds=60.0),
        Step("copy", HostStep.REMOVE_COPY, when=is_unfinished),
        Step("unfinished", forget_unfinished, when=is_unfinished),
        *SETTLE,
    ),
)
RESTORE = Saga(Action.RESTORE, _TO_RUNNING)
