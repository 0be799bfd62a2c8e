"""What actors count of their own work. Nothing decides by it."""

from collections.abc import Mapping
from typing import Protocol

from actors.model.instance import VmState
from actors.model.operation import Action, OperationState


class Metrics(Protocol):
    """Instruments. Every method returns at once and never fails."""

    def operation_ended(self, action: Action, result: OperationState, seconds: float) -> None:
        """An operation has come to its end, well or not, so long after it was asked for."""
        ...

    def step_ended(self, action: Action, step: str, seconds: float, *, failed: bool) -> None:
        """A step of an operation has been done (or undone), or has failed."""
        ...

    def instances(self, by_state: Mapping[VmState, int]) -> None:
        """How many instances are in each state now. A state that is not named has none."""
        ...


class NoMetrics:
    """Implements ``Metrics`` by counting nothing: tests', and where nobody looks."""

    def operation_ended(self, action: Action, result: OperationState, seconds: float) -> None:
        """Nothing."""

    def step_ended(self, action: Action, step: str, seconds: float, *, failed: bool) -> None:
        """Nothing."""

    def instances(self, by_state: Mapping[VmState, int]) -> None:
        """Nothing."""
