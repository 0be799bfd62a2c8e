"""Which accelerator guests get.

``/dev/kvm`` proves nothing: on machines without VMX or SVM it can exist, libvirt then offers KVM,
and guests hang. So KVM needs both: the processor's flag and libvirt's word.
"""

import re
from dataclasses import dataclass, field
from typing import ClassVar, Final

import libvirt

from actors.drivers.libvirt.element import Element, at
from actors.drivers.libvirt.errors import is_connection_error
from actors.drivers.libvirt.settings import VirtType

_FLAGS: Final = re.compile(r"^flags\s*:.*\b(vmx|svm)\b", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class DomainCapabilities(Element):
    """``<domainCapabilities>`` (virConnectGetDomainCapabilities), as far as it matters here."""

    TAG: ClassVar[str] = "domainCapabilities"

    domain: str = field(default="", metadata=at("domain"))
    arch: str = field(default="", metadata=at("arch"))
    vcpus: int = field(default=0, metadata=at("vcpu/@max"))


def choose(wanted: VirtType, cpuinfo: str, kvm: DomainCapabilities | None) -> VirtType:
    """KVM or QEMU (TCG).

    Args:
        wanted: The setting; all but ``auto`` is obeyed.
        cpuinfo: The text of ``/proc/cpuinfo``.
        kvm: What libvirt says of KVM domains; None where it refuses them.
    """
    if wanted is not VirtType.AUTO:
        return wanted
    offered = kvm is not None and kvm.domain == VirtType.KVM and kvm.vcpus > 0
    return VirtType.KVM if offered and _FLAGS.search(cpuinfo) else VirtType.QEMU


def kvm_capabilities(conn: libvirt.virConnect) -> DomainCapabilities | None:
    """What virConnectGetDomainCapabilities says of KVM; None where libvirt refuses it."""
    try:
        text = conn.getDomainCapabilities(None, "x86_64", "pc", VirtType.KVM.value, 0)
    except libvirt.libvirtError as error:
        if is_connection_error(error):
            raise
        return None
    return DomainCapabilities.from_text(text)
