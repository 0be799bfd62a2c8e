"""Fifty operations that are sent at once to one instance: what they are, and how they must end."""

import random
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from actors.model.details import Details, Reboot
from actors.model.errors import ComputeError, Conflict, NotFound
from actors.model.operation import Action, OperationRecord, OperationState
from actors.model.query import Accepted

#: What each of them is, in the order of a seed; hard reboots interrupt.
KINDS: Final[tuple[tuple[Action, Details | None], ...]] = (
    (Action.STOP, None),
    (Action.START, None),
    (Action.REBOOT, Reboot()),
    (Action.REBOOT, Reboot(hard=True)),
    (Action.PAUSE, None),
    (Action.UNPAUSE, None),
    (Action.SUSPEND, None),
    (Action.RESUME, None),
)
FIFTY: Final = 50

Answer = Accepted | BaseException


def fifty(seed: int) -> list[tuple[Action, Details | None]]:
    """Fifty of them, in an order of their own."""
    return random.Random(seed).choices(KINDS, k=FIFTY)


def taken(answers: Sequence[Answer]) -> list[OperationRecord]:
    """The operations that were accepted, in their order. The others were refused with a reason."""
    refused = [answer for answer in answers if isinstance(answer, BaseException)]
    assert all(isinstance(one, Conflict | NotFound) for one in refused), refused
    reasons = {one.reason for one in refused if isinstance(one, ComputeError)}
    assert reasons <= {"INVALID_STATE", "INSTANCE_BUSY", "INSTANCE_NOT_FOUND"}
    operations = [answer.operation for answer in answers if isinstance(answer, Accepted)]
    return sorted(operations, key=lambda operation: operation.sequence)


def assert_one_at_a_time(operations: Sequence[OperationRecord]) -> None:
    """Each began when the one before it had ended, well or by being interrupted."""
    numbers = [operation.sequence for operation in operations]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    for one, following in pairwise(operations):
        assert one.finished is not None
        assert one.finished <= following.created
        if one.state is OperationState.CANCELLED:
            assert following.action in {Action.REBOOT, Action.DELETE}
        else:
            assert one.state is OperationState.SUCCEEDED, one
