"""libvirt's errors as ours: which kind, what the tenant reads, what the operator reads.

The tenant's sentence never carries libvirt's words: they name paths and hosts. Those go to
``detail``.
"""

import errno
from typing import Final

import libvirt

from actors.model.errors import ComputeError, Exhausted, HypervisorRefused, NotFound, Unavailable

#: The connection itself, whoever reports it (virErrorNumber).
_CONNECTION_CODES: Final = frozenset(
    {
        libvirt.VIR_ERR_NO_CONNECT,
        libvirt.VIR_ERR_INVALID_CONN,
        libvirt.VIR_ERR_RPC,
        libvirt.VIR_ERR_AUTH_FAILED,
        libvirt.VIR_ERR_AUTH_UNAVAILABLE,
    }
)
#: General codes that mean the connection when the RPC layer reports them (virErrorDomain).
_RPC_CODES: Final = frozenset({libvirt.VIR_ERR_SYSTEM_ERROR, libvirt.VIR_ERR_INTERNAL_ERROR})
_RPC_DOMAINS: Final = frozenset({libvirt.VIR_FROM_REMOTE, libvirt.VIR_FROM_RPC})
#: Another call holds the domain, or it does not answer: the same call may work later.
_BUSY_CODES: Final = frozenset(
    {
        libvirt.VIR_ERR_OPERATION_TIMEOUT,
        libvirt.VIR_ERR_AGENT_UNRESPONSIVE,
    }
)
_FULL_ERRNO: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_DISK_WORDS: Final = ("No space left on device", "Disk quota exceeded")
_MEMORY_WORDS: Final = ("Cannot allocate memory",)


def is_connection_error(error: libvirt.libvirtError) -> bool:
    """Whether libvirtd is away, as this error tells."""
    code, domain = error.get_error_code(), error.get_error_domain()
    return code in _CONNECTION_CODES or (code in _RPC_CODES and domain in _RPC_DOMAINS)


def from_libvirt(error: libvirt.libvirtError, action: str) -> ComputeError:
    """The error of ours for one of libvirt's.

    Args:
        error: What libvirt raised.
        action: What was tried, to follow "could not": ``start instance 3f…``.
    """
    words = f"libvirt: {error.get_error_message() or error}"
    code = error.get_error_code()
    if is_connection_error(error):
        return away(words)
    if code in _BUSY_CODES:
        return Unavailable(
            "The hypervisor is busy with the instance. Try again later.", "HYPERVISOR_BUSY", words
        )
    if code == libvirt.VIR_ERR_NO_DOMAIN:
        return NotFound("The instance is not on this host.", "DOMAIN_NOT_FOUND", words)
    return refused(action, words)


def away(words: str) -> Unavailable:
    """No connection: nothing is known of the call's effect. ``words`` begin with ``libvirt:``."""
    return Unavailable(
        "The instance's host cannot reach its libvirt right now. Try again later.",
        "HYPERVISOR_UNAVAILABLE",
        words,
    )


def refused(action: str, words: str) -> ComputeError:
    """Libvirt or qemu-img said no; a full disk or full memory is told apart by their words."""
    if any(full in words for full in _DISK_WORDS):
        return disk_full(words)
    if any(full in words for full in _MEMORY_WORDS):
        return Exhausted("The instance's host has no free memory.", "MEMORY_FULL", words)
    return HypervisorRefused(f"The hypervisor could not {action}.", "HYPERVISOR_REFUSED", words)


def disk_full(words: str) -> Exhausted:
    """The disk that holds the instances is full."""
    return Exhausted("The instance's host has no free disk space.", "DISK_FULL", words)


def from_os(error: OSError, action: str) -> ComputeError:
    """The error of ours for one of the host's file system."""
    if error.errno in _FULL_ERRNO:
        return disk_full(str(error))
    return HypervisorRefused(f"The host could not {action}.", "HOST_REFUSED", str(error))
