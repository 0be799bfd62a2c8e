"""Single calls on domains, each made to converge: what is so already is no error."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Final
from xml.etree.ElementTree import ParseError

import libvirt

from actors.drivers.libvirt.metadata_xml import NAMESPACE, PREFIX, InstanceElement
from actors.drivers.libvirt.power import fold_state
from actors.model.errors import HypervisorRefused, Unavailable
from actors.model.ids import InstanceId
from actors.model.instance import PowerState
from actors.ports.hypervisor import Guest

_log = logging.getLogger(__name__)

#: Whatever would make virDomainUndefine refuse goes with the domain.
_UNDEFINE: Final = (
    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
)
#: libvirt's test driver has no firmware, and refuses a flag it does not know.
_UNDEFINE_TEST: Final = _UNDEFINE & ~libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
_LIVE_AND_CONFIG: Final = libvirt.VIR_DOMAIN_AFFECT_LIVE | libvirt.VIR_DOMAIN_AFFECT_CONFIG


class Tolerate:
    """``with Tolerate(code, …)``: pass over these of libvirt's errors (virErrorNumber)."""

    def __init__(self, *codes: int) -> None:
        self._codes = codes

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> bool:
        return isinstance(error, libvirt.libvirtError) and error.get_error_code() in self._codes


def element_of(domain: libvirt.virDomain) -> InstanceElement | None:
    """Our element (virDomainGetMetadata); None where the domain is not ours."""
    with Tolerate(libvirt.VIR_ERR_NO_DOMAIN_METADATA):
        text = domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, NAMESPACE, 0)
        try:
            return InstanceElement.from_text(text)
        except (ParseError, TypeError, ValueError) as error:
            _log.warning("domain %s has a broken metadata element: %s", domain.name(), error)
    return None


def find(
    conn: libvirt.virConnect, instance: InstanceId
) -> tuple[libvirt.virDomain, InstanceElement] | None:
    """The instance's domain (virDomainLookupByUUIDString), whatever the number of domains.

    Raises:
        HypervisorRefused: A domain with this UUID is there, but it is not ours. It is left alone.
    """
    with Tolerate(libvirt.VIR_ERR_NO_DOMAIN):
        domain = conn.lookupByUUIDString(instance)
        element = element_of(domain)
        if element is None:
            raise HypervisorRefused(
                f"Instance {instance} cannot be managed: its host has another machine by this id.",
                "FOREIGN_DOMAIN",
                f"domain {domain.name()} has no element of {NAMESPACE}",
            )
        return domain, element
    return None


def power_of(domain: libvirt.virDomain) -> PowerState:
    """What virDomainGetState says; NOSTATE where the domain has gone meanwhile."""
    with Tolerate(libvirt.VIR_ERR_NO_DOMAIN):
        return _folded(domain, *domain.state(0))
    return PowerState.NOSTATE


def _folded(domain: libvirt.virDomain, state: int, reason: int) -> PowerState:
    # The reason SAVED is forgotten when libvirtd is started anew; the saved memory is not.
    if state == libvirt.VIR_DOMAIN_SHUTOFF and domain.hasManagedSaveImage(0):
        return PowerState.SUSPENDED
    return fold_state(state, reason)


def start(domain: libvirt.virDomain) -> None:
    """virDomainCreate; a domain that runs is no error."""
    try:
        domain.createWithFlags(0)
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_OPERATION_INVALID or not domain.isActive():
            raise


def wake(domain: libvirt.virDomain, power: PowerState) -> None:
    """Let an active domain run on: virDomainResume or virDomainPMWakeup."""
    with Tolerate(libvirt.VIR_ERR_OPERATION_INVALID):
        if power is PowerState.PAUSED:
            domain.resume()
        elif power is PowerState.SUSPENDED:
            domain.pMWakeup(0)


def press_power_button(domain: libvirt.virDomain) -> None:
    """virDomainShutdown: ACPI, as there is no agent in the guest."""
    with Tolerate(libvirt.VIR_ERR_NO_DOMAIN):
        try:
            domain.shutdown()
        except libvirt.libvirtError:
            # QEMU's driver has a code for "does not run", the test driver only words.
            if domain.isActive():
                raise


def pause(domain: libvirt.virDomain) -> None:
    """virDomainSuspend; a paused domain is no error."""
    with Tolerate(libvirt.VIR_ERR_OPERATION_INVALID):
        if power_of(domain) is PowerState.RUNNING:
            domain.suspend()


def unpause(domain: libvirt.virDomain) -> None:
    """virDomainResume; a domain that runs is no error."""
    if power_of(domain) is PowerState.PAUSED:
        wake(domain, PowerState.PAUSED)


def save(domain: libvirt.virDomain) -> None:
    """virDomainManagedSave; a domain whose memory is saved already is no error.

    Whatever it was when it was saved, it runs when it comes back.
    """
    with Tolerate(libvirt.VIR_ERR_OPERATION_INVALID):
        if domain.isActive():
            domain.managedSave(libvirt.VIR_DOMAIN_SAVE_RUNNING)


def abort_save(domain: libvirt.virDomain) -> None:
    """virDomainAbortJob: a save under way fails, and the guest runs on."""
    # No job is under way; or it is the test driver, which saves in no time.
    with Tolerate(libvirt.VIR_ERR_OPERATION_INVALID, libvirt.VIR_ERR_NO_SUPPORT):
        domain.abortJob()


def forget_saved(domain: libvirt.virDomain) -> None:
    """virDomainManagedSaveRemove, where there is something to remove."""
    with Tolerate(libvirt.VIR_ERR_NO_DOMAIN):
        if domain.hasManagedSaveImage(0):
            domain.managedSaveRemove(0)


def destroy(domain: libvirt.virDomain) -> None:
    """VirDomainDestroy."""
    with Tolerate(libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_OPERATION_INVALID):
        domain.destroy()


def undefine(domain: libvirt.virDomain) -> None:
    """VirDomainUndefineFlags."""
    with Tolerate(libvirt.VIR_ERR_NO_DOMAIN):
        is_test = domain.connect().getType() == "TEST"
        domain.undefineFlags(_UNDEFINE_TEST if is_test else _UNDEFINE)


def stamp(domain: libvirt.virDomain, element: InstanceElement) -> None:
    """Write our element anew into a running domain and its definition (virDomainSetMetadata)."""
    domain.setMetadata(
        libvirt.VIR_DOMAIN_METADATA_ELEMENT,
        element.to_bare_text(),
        PREFIX,
        NAMESPACE,
        _LIVE_AND_CONFIG,
    )


def keep_running(domain: libvirt.virDomain, element: InstanceElement, sequence: int) -> PowerState:
    """Leave an active domain running, note the newer operation, and let a paused one run on.

    Raises:
        Unavailable: The guest is just going down. The same call starts it a moment later.
    """
    state, _ = domain.state(0)
    if state == libvirt.VIR_DOMAIN_SHUTDOWN:
        raise Unavailable(
            f"Instance {element.id} is shutting down. Try again in a moment.", "HYPERVISOR_BUSY"
        )
    # Never back: an older operation's late call must not reopen the fence.
    if element.sequence < sequence:
        stamp(domain, replace(element, sequence=sequence))
    wake(domain, power_of(domain))
    return power_of(domain)


def keep_restored(domain: libvirt.virDomain, sequence: int) -> PowerState:
    """The same of a domain that has just come back from saved memory.

    libvirt gave it the definition it was saved with, our element included.

    Raises:
        Unavailable: As ``keep_running``.
    """
    element = element_of(domain)
    return power_of(domain) if element is None else keep_running(domain, element, sequence)


def disk_targets(conn: libvirt.virConnect, domain: libvirt.virDomain) -> set[str]:
    """What the disks of a guest that runs are called: ``vda``, ``hda``."""
    ((_, stats),) = conn.domainListGetStats([domain], libvirt.VIR_DOMAIN_STATS_BLOCK, 0)
    return {str(stats[f"block.{number}.name"]) for number in range(int(stats["block.count"]))}


def guests(conn: libvirt.virConnect) -> Iterator[Guest]:
    """All our domains, running or not."""
    for domain, stats in conn.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_STATE, 0):
        with Tolerate(libvirt.VIR_ERR_NO_DOMAIN):  # undefined since
            element = element_of(domain)
            if element is not None:
                yield Guest(
                    instance=InstanceId(element.id),
                    project=element.project,
                    sequence=element.sequence,
                    power_state=_folded(domain, stats["state.state"], stats["state.reason"]),
                )
