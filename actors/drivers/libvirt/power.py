"""libvirt's domain states and events, folded as Nova folds them (``virt/libvirt/guest.py``)."""

from typing import Final

import libvirt

from actors.model.instance import PowerState

_STATES: Final = {
    libvirt.VIR_DOMAIN_NOSTATE: PowerState.NOSTATE,
    libvirt.VIR_DOMAIN_RUNNING: PowerState.RUNNING,
    libvirt.VIR_DOMAIN_BLOCKED: PowerState.RUNNING,
    libvirt.VIR_DOMAIN_PAUSED: PowerState.PAUSED,
    # The guest is on its way down; it runs until SHUTOFF.
    libvirt.VIR_DOMAIN_SHUTDOWN: PowerState.RUNNING,
    libvirt.VIR_DOMAIN_SHUTOFF: PowerState.SHUTDOWN,
    libvirt.VIR_DOMAIN_CRASHED: PowerState.CRASHED,
    libvirt.VIR_DOMAIN_PMSUSPENDED: PowerState.SUSPENDED,
}

# What is not here says nothing about power (defined, undefined), or is followed by an event that
# does: SHUTDOWN comes before STOPPED.
_EVENTS: Final = {
    libvirt.VIR_DOMAIN_EVENT_STARTED: PowerState.RUNNING,
    libvirt.VIR_DOMAIN_EVENT_RESUMED: PowerState.RUNNING,
    libvirt.VIR_DOMAIN_EVENT_SUSPENDED: PowerState.PAUSED,
    libvirt.VIR_DOMAIN_EVENT_STOPPED: PowerState.SHUTDOWN,
    libvirt.VIR_DOMAIN_EVENT_PMSUSPENDED: PowerState.SUSPENDED,
    libvirt.VIR_DOMAIN_EVENT_CRASHED: PowerState.CRASHED,
}

#: How a QEMU that dies of itself is reported: the panic device says CRASHED, a lost monitor FAILED.
_CRASHES: Final = frozenset(
    {
        libvirt.VIR_DOMAIN_EVENT_STOPPED_CRASHED,
        libvirt.VIR_DOMAIN_EVENT_STOPPED_FAILED,
    }
)


def fold_state(state: int, reason: int) -> PowerState:
    """What virDomainGetState says.

    A QEMU that died leaves SHUTOFF with reason CRASHED, and a domain whose start failed SHUTOFF
    with FAILED. Whether a domain that is off has its memory saved is another question
    (``domains.power_of``).
    """
    if state == libvirt.VIR_DOMAIN_SHUTOFF and reason == libvirt.VIR_DOMAIN_SHUTOFF_CRASHED:
        return PowerState.CRASHED
    return _STATES.get(state, PowerState.NOSTATE)


def fold_event(event: int, detail: int) -> PowerState | None:
    """What a lifecycle event says about power; None where it says nothing."""
    if event == libvirt.VIR_DOMAIN_EVENT_STOPPED:
        if detail == libvirt.VIR_DOMAIN_EVENT_STOPPED_MIGRATED:
            return None  # it runs on another host, which reports it
        if detail == libvirt.VIR_DOMAIN_EVENT_STOPPED_SAVED:
            return PowerState.SUSPENDED
        if detail in _CRASHES:
            return PowerState.CRASHED
    return _EVENTS.get(event)
