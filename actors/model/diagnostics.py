"""What a running guest has used so far (Nova's standardised diagnostics, microversion 2.48)."""

from dataclasses import dataclass

from actors.model.instance import PowerState


@dataclass(frozen=True, slots=True)
class CpuCounters:
    """One virtual CPU."""

    id: int
    #: Processor time it has had, nanoseconds.
    time_ns: int


@dataclass(frozen=True, slots=True)
class DiskCounters:
    """One disk, since the guest was started."""

    #: The name the guest is likely to give it: ``vda``.
    device: str
    read_bytes: int
    read_requests: int
    write_bytes: int
    write_requests: int
    #: None where the hypervisor does not count them.
    errors: int | None


@dataclass(frozen=True, slots=True)
class NicCounters:
    """One network card, since the guest was started, as the guest sees it."""

    mac: str
    rx_octets: int
    rx_packets: int
    rx_errors: int
    rx_drop: int
    tx_octets: int
    tx_packets: int
    tx_errors: int
    tx_drop: int


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """Counters of one guest."""

    power_state: PowerState
    #: ``qemu``, ``kvm``, ``test``.
    hypervisor: str
    #: The host's operating system: ``linux``.
    hypervisor_os: str
    cpus: tuple[CpuCounters, ...]
    memory_maximum_mb: int
    #: What the guest says it uses; where it does not say, what it was given.
    memory_used_mb: int
    disks: tuple[DiskCounters, ...]
    nics: tuple[NicCounters, ...]
