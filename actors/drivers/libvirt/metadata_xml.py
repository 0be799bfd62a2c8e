"""Our element in a domain's metadata: whose it is, and all that a lost database is rebuilt from."""

import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from typing import ClassVar, Final

from actors.drivers.libvirt.element import Element, at
from actors.model.instance import InstanceRecord

NAMESPACE: Final = "urn:novaray:instance:1"
#: The prefix libvirt shows to people (``virsh dumpxml``).
PREFIX: Final = "novaray"

ET.register_namespace(PREFIX, NAMESPACE)


@dataclass(frozen=True, slots=True)
class FlavorElement(Element):
    """``<novaray:flavor>``: for people who look at the domain."""

    TAG: ClassVar[str] = "flavor"
    NAMESPACE: ClassVar[str] = NAMESPACE

    id: str = field(metadata=at("@id"))
    name: str = field(metadata=at("@name"))
    vcpus: int = field(metadata=at("@vcpus"))
    memory_mb: int = field(metadata=at("@memory_mb"))
    disk_gb: int = field(metadata=at("@disk_gb"))


@dataclass(frozen=True, slots=True)
class InstanceElement(Element):
    """``<novaray:instance>``: a domain without it is not ours and is left alone."""

    TAG: ClassVar[str] = "instance"
    NAMESPACE: ClassVar[str] = NAMESPACE

    id: str = field(metadata=at("@id"))
    project: str = field(metadata=at("@project"))
    #: The record's generation when the domain was defined.
    generation: int = field(metadata=at("@generation"))
    #: The last operation that started the domain.
    sequence: int = field(metadata=at("@sequence"))
    name: str = field(default="", metadata=at("name"))
    flavor: FlavorElement | None = field(default=None, metadata=at(""))
    #: The whole record as JSON, as it was when the domain was defined.
    record: str = field(default="", metadata=at("record"))


def instance_element(record: InstanceRecord, sequence: int) -> InstanceElement:
    """What is written into the domain's metadata."""
    flavor = record.flavor
    return InstanceElement(
        id=record.id,
        project=record.project,
        generation=record.generation,
        sequence=sequence,
        name=record.name,
        flavor=FlavorElement(
            flavor.id, flavor.name, flavor.vcpus, flavor.memory_mb, flavor.disk_gb
        ),
        # ASCII, so that no character is lost where XML cannot carry it.
        record=record.model_dump_json(ensure_ascii=True),
    )
