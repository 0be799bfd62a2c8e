"""The actors' instruments, as Ray exports them (Prometheus text, on each node's metrics port)."""

from collections.abc import Mapping
from functools import cached_property
from typing import Final

from ray.util.metrics import Counter, Gauge, Histogram

from actors.model.instance import VmState
from actors.model.operation import Action, OperationState

_SECONDS: Final = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300]


class RayMetrics:
    """Implements ``ports.metrics.Metrics``. Travels by name; its instruments are each process's."""

    def __init__(self, actor: str) -> None:
        self._tags: Final = {"actor": actor}

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self._tags["actor"],)

    def operation_ended(self, action: Action, result: OperationState, seconds: float) -> None:
        """As ``Metrics.operation_ended``."""
        tags = {**self._tags, "action": action.value}
        self._operations.inc(1, {**tags, "result": result.value})
        self._operation_seconds.observe(seconds, tags)

    def step_ended(self, action: Action, step: str, seconds: float, *, failed: bool) -> None:
        """As ``Metrics.step_ended``."""
        result = "failed" if failed else "done"
        tags = {**self._tags, "action": action.value, "step": step, "result": result}
        self._step_seconds.observe(seconds, tags)

    def instances(self, by_state: Mapping[VmState, int]) -> None:
        """As ``Metrics.instances``."""
        for state in VmState:
            self._instances.set(by_state.get(state, 0), {**self._tags, "state": state.value})

    # Made at first use: an instrument belongs to the process that makes it.

    @cached_property
    def _operations(self) -> Counter:
        return Counter(
            "novaray_operations_total",
            "Operations that have ended.",
            ("actor", "action", "result"),
        )

    @cached_property
    def _operation_seconds(self) -> Histogram:
        return Histogram(
            "novaray_operation_seconds",
            "From the request to the end of the operation.",
            _SECONDS,
            ("actor", "action"),
        )

    @cached_property
    def _step_seconds(self) -> Histogram:
        return Histogram(
            "novaray_step_seconds",
            "How long a step of an operation took.",
            _SECONDS,
            ("actor", "action", "step", "result"),
        )

    @cached_property
    def _instances(self) -> Gauge:
        return Gauge("novaray_instances", "Instances by state.", ("actor", "state"))
