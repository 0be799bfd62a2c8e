"""Delete: nothing of the instance is left, whatever it was doing, on no host.

No step has an undo: a delete only ever goes forward.
"""

from actors.model.operation import Action
from actors.ports.host import HostStep
from actors.sagas.boot import release_claim, remove_ports
from actors.sagas.resize import crosses
from actors.sagas.saga import Place, Saga, Step
from actors.sagas.shelve import forget_shelved
from actors.sagas.snapshot import forget_unfinished, is_unfinished
from actors.sagas.volumes import release_volumes

DELETE = Saga(
    Action.DELETE,
    (
        Step("domain", HostStep.ENSURE_ABSENT, left_to_host=True, deadline_seconds=60.0),
        Step("disk", HostStep.REMOVE_DISK, left_to_host=True),
        Step("network", HostStep.REMOVE_NETWORK, left_to_host=True),
        # A resize that was not confirmed has left its former disks elsewhere.
        Step(
            "old_domain", HostStep.ENSURE_ABSENT, when=crosses, at=Place.FORMER, left_to_host=True
        ),
        Step("old_disk", HostStep.REMOVE_DISK, when=crosses, at=Place.FORMER, left_to_host=True),
        Step(
            "old_network",
            HostStep.REMOVE_NETWORK,
            when=crosses,
            at=Place.FORMER,
            left_to_host=True,
        ),
        # Last: what the instance held may only go to another when the guest is gone.
        Step("ports", remove_ports),
        Step("claim", release_claim, beside=True),
        Step("shelved", forget_shelved, beside=True),
        Step("volumes", release_volumes, beside=True),
        Step("unfinished", forget_unfinished, when=is_unfinished, beside=True),
    ),
    only_forward=True,
)
