"""libvirt's states and events, folded."""

import libvirt
import pytest

from actors.drivers.libvirt.power import fold_event, fold_state
from actors.model.instance import PowerState


@pytest.mark.parametrize(
    ("state", "power"),
    [
        (libvirt.VIR_DOMAIN_NOSTATE, PowerState.NOSTATE),
        (libvirt.VIR_DOMAIN_RUNNING, PowerState.RUNNING),
        (libvirt.VIR_DOMAIN_BLOCKED, PowerState.RUNNING),
        (libvirt.VIR_DOMAIN_PAUSED, PowerState.PAUSED),
        (libvirt.VIR_DOMAIN_SHUTDOWN, PowerState.RUNNING),
        (libvirt.VIR_DOMAIN_SHUTOFF, PowerState.SHUTDOWN),
        (libvirt.VIR_DOMAIN_CRASHED, PowerState.CRASHED),
        (libvirt.VIR_DOMAIN_PMSUSPENDED, PowerState.SUSPENDED),
        (99, PowerState.NOSTATE),
    ],
)
def test_states(state: int, power: PowerState) -> None:
    assert fold_state(state, 0) is power


def test_a_qemu_that_died_has_crashed() -> None:
    crashed = fold_state(libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_CRASHED)
    assert crashed is PowerState.CRASHED


def test_a_start_that_failed_is_off() -> None:
    failed = fold_state(libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_FAILED)
    assert failed is PowerState.SHUTDOWN


@pytest.mark.parametrize(
    ("event", "detail", "power"),
    [
        (libvirt.VIR_DOMAIN_EVENT_DEFINED, 0, None),
        (libvirt.VIR_DOMAIN_EVENT_UNDEFINED, 0, None),
        (libvirt.VIR_DOMAIN_EVENT_STARTED, 0, PowerState.RUNNING),
        (libvirt.VIR_DOMAIN_EVENT_SUSPENDED, 0, PowerState.PAUSED),
        (libvirt.VIR_DOMAIN_EVENT_RESUMED, 0, PowerState.RUNNING),
        (libvirt.VIR_DOMAIN_EVENT_SHUTDOWN, 0, None),
        (libvirt.VIR_DOMAIN_EVENT_PMSUSPENDED, 0, PowerState.SUSPENDED),
        (libvirt.VIR_DOMAIN_EVENT_CRASHED, 0, PowerState.CRASHED),
        (
            libvirt.VIR_DOMAIN_EVENT_STOPPED,
            libvirt.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN,
            PowerState.SHUTDOWN,
        ),
        (
            libvirt.VIR_DOMAIN_EVENT_STOPPED,
            libvirt.VIR_DOMAIN_EVENT_STOPPED_DESTROYED,
            PowerState.SHUTDOWN,
        ),
        (
            libvirt.VIR_DOMAIN_EVENT_STOPPED,
            libvirt.VIR_DOMAIN_EVENT_STOPPED_CRASHED,
            PowerState.CRASHED,
        ),
        (
            libvirt.VIR_DOMAIN_EVENT_STOPPED,
            libvirt.VIR_DOMAIN_EVENT_STOPPED_FAILED,
            PowerState.CRASHED,
        ),
        (libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_MIGRATED, None),
        (99, 0, None),
    ],
)
def test_events(event: int, detail: int, power: PowerState | None) -> None:
    assert fold_event(event, detail) is power
