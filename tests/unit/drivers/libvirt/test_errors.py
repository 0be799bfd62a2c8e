"""libvirt's errors as ours."""

import errno

import libvirt
import pytest

from actors.drivers.libvirt.errors import from_libvirt, from_os, is_connection_error, refused
from actors.model.errors import ComputeError, Exhausted, HypervisorRefused, NotFound, Unavailable

ACTION = "start instance 7d4b"
PATH = "/var/lib/novaray/instances/7d4b/disk.qcow2"


def libvirt_error(code: int, domain: int, message: str) -> libvirt.libvirtError:
    error = libvirt.libvirtError("virDomainCreate() failed")
    error.err = (code, domain, message, 2, None, None, None, -1, -1)
    return error


@pytest.mark.parametrize(
    ("code", "domain", "message", "kind", "reason"),
    [
        (
            libvirt.VIR_ERR_INTERNAL_ERROR,
            libvirt.VIR_FROM_RPC,
            "client socket is closed",
            Unavailable,
            "HYPERVISOR_UNAVAILABLE",
        ),
        (
            libvirt.VIR_ERR_SYSTEM_ERROR,
            libvirt.VIR_FROM_RPC,
            "Cannot recv data: Connection reset by peer",
            Unavailable,
            "HYPERVISOR_UNAVAILABLE",
        ),
        (
            libvirt.VIR_ERR_NO_CONNECT,
            libvirt.VIR_FROM_REMOTE,
            "Failed to connect",
            Unavailable,
            "HYPERVISOR_UNAVAILABLE",
        ),
        (
            libvirt.VIR_ERR_OPERATION_TIMEOUT,
            libvirt.VIR_FROM_QEMU,
            "cannot acquire state change lock (held by monitor=remoteDispatchDomainDestroy)",
            Unavailable,
            "HYPERVISOR_BUSY",
        ),
        (
            libvirt.VIR_ERR_NO_DOMAIN,
            libvirt.VIR_FROM_QEMU,
            "Domain not found",
            NotFound,
            "DOMAIN_NOT_FOUND",
        ),
        (
            libvirt.VIR_ERR_INTERNAL_ERROR,
            libvirt.VIR_FROM_QEMU,
            f"cannot write {PATH}: No space left on device",
            Exhausted,
            "DISK_FULL",
        ),
        (
            libvirt.VIR_ERR_INTERNAL_ERROR,
            libvirt.VIR_FROM_QEMU,
            "qemu: cannot set up guest memory 'pc.ram': Cannot allocate memory",
            Exhausted,
            "MEMORY_FULL",
        ),
        (
            libvirt.VIR_ERR_INTERNAL_ERROR,
            libvirt.VIR_FROM_QEMU,
            f"process exited while connecting to monitor: Could not open '{PATH}'",
            HypervisorRefused,
            "HYPERVISOR_REFUSED",
        ),
        (
            libvirt.VIR_ERR_SYSTEM_ERROR,
            libvirt.VIR_FROM_QEMU,
            f"Cannot access storage file '{PATH}': No such file or directory",
            HypervisorRefused,
            "HYPERVISOR_REFUSED",
        ),
    ],
)
def test_libvirt(
    code: int, domain: int, message: str, kind: type[ComputeError], reason: str
) -> None:
    error = from_libvirt(libvirt_error(code, domain, message), ACTION)
    assert type(error) is kind
    assert error.reason == reason
    assert error.detail == f"libvirt: {message}"
    assert error.message[0].isupper()
    assert error.message.endswith(".")
    assert "/" not in error.message


def test_a_system_error_of_qemu_is_not_the_connection() -> None:
    words = "unable to read from monitor: Connection reset by peer"
    error = libvirt_error(libvirt.VIR_ERR_SYSTEM_ERROR, libvirt.VIR_FROM_QEMU, words)
    assert not is_connection_error(error)


def test_an_error_without_a_code_is_a_refusal() -> None:
    error = from_libvirt(libvirt.libvirtError("virDomainCreate() failed"), ACTION)
    assert type(error) is HypervisorRefused
    assert "virDomainCreate() failed" in error.detail


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_file_system(number: int) -> None:
    error = from_os(OSError(number, "full", PATH), ACTION)
    assert (type(error), error.reason) == (Exhausted, "DISK_FULL")
    assert PATH not in error.message


def test_another_file_error() -> None:
    error = from_os(PermissionError(errno.EACCES, "denied", PATH), ACTION)
    assert (type(error), error.reason) == (HypervisorRefused, "HOST_REFUSED")
    assert PATH not in error.message
    assert PATH in error.detail


def test_qemu_img_on_a_full_disk() -> None:
    error = refused(ACTION, f"qemu-img: {PATH}: error while writing: No space left on device")
    assert (type(error), error.reason) == (Exhausted, "DISK_FULL")
