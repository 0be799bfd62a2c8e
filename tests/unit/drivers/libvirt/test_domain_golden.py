"""What a domain looks like: tests/golden/domain, written by ``make golden-update``."""

import os
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from actors.drivers.libvirt.build import Place, domain_of
from actors.drivers.libvirt.domain_xml import Domain
from actors.drivers.libvirt.element import Element
from actors.model.flavor import Size
from actors.model.instance import InstanceRecord
from actors.ports.hypervisor import BootFiles
from tests.contract import records
from tests.unit.drivers.libvirt.elements import ELEMENTS

GOLDEN = Path(__file__).parents[3] / "golden" / "domain"
UPDATE = os.environ.get("NOVARAY_GOLDEN_UPDATE") == "1"
ID = "7d4b3a52-9f0e-5d7c-8a41-3c1f0a2b4c6d"
BASE = Path("/var/lib/novaray/images/base")
KERNEL = Path("/var/lib/novaray/images/kernel")
RAMDISK = Path("/var/lib/novaray/images/ramdisk")
INSTANCES = Path("/var/lib/novaray/instances")
HOSTILE = "</title><title>\"'&amp;]]>\x00\x1b\ufffe\r\n\u202e../../etc $(reboot) \U0001f980"


def place(
    virt_type: str,
    files: BootFiles,
    cache: str = "none",
    bridged: bool = True,
    config_drive: bool = False,
) -> Place:
    return Place(
        virt_type=virt_type,
        folder=INSTANCES / ID,
        disk=str(INSTANCES / ID / "disk.qcow2"),
        cache=cache,
        console=INSTANCES / ID / "console.log",
        files=files,
        bridges={records.NETWORK: "brq-flat"} if bridged else {},
        config_drive=INSTANCES / ID / "config.iso" if config_drive else None,
    )


def built(record: InstanceRecord, where: Place) -> Domain:
    domain = domain_of(record, 7, where)
    assert domain.instance is not None
    # The record's own fields are the model's business: they would change these files with every
    # one.
    return replace(domain, instance=replace(domain.instance, record="{}"))


def domains() -> dict[str, Element]:
    disk = BootFiles(BASE)
    kernel = BootFiles(BASE, KERNEL, RAMDISK)
    two_cards = records.instance(ID, nics=(records.nic(1), records.nic(2)))
    direct = records.instance(
        ID, size=records.flavor(512, 2, 1), boot=records.source(kernel=True), nics=(records.nic(),)
    )
    specs = records.flavor(512, 2, 1).evolve(ephemeral_gb=3, swap_mb=100, extra_specs=records.SPECS)
    uefi = records.flavor(512).evolve(
        swap_mb=100, extra_specs={"hw:firmware_type": "uefi", "hw_rng:allowed": "no"}
    )
    grows = records.flavor(512, 2).evolve(
        extra_specs={"novaray:max_memory_mb": "1024", "novaray:max_vcpus": "4"}
    )
    grown = records.instance(ID, size=grows).evolve(size=Size(vcpus=3, memory_mb=768))
    return {
        "qemu-live-size": built(grown, place("qemu", disk)),
        "kvm-live-size": built(grown, place("kvm", disk)),
        "test-live-size": built(grown, place("test", disk)),
        "qemu-extra-specs": built(records.instance(ID, size=specs), place("qemu", disk)),
        "kvm-extra-specs": built(records.instance(ID, size=specs), place("kvm", disk)),
        "qemu-uefi": built(records.instance(ID, size=uefi), place("qemu", disk)),
        "qemu-disk": built(two_cards, place("qemu", disk)),
        "qemu-kernel": built(direct, place("qemu", kernel)),
        "qemu-config-drive": built(direct, place("qemu", kernel, config_drive=True)),
        "qemu-no-bridge": built(direct, place("qemu", disk, "writeback", bridged=False)),
        "kvm-kernel": built(direct, place("kvm", kernel)),
        "test-kernel": built(direct, place("test", kernel)),
        "hostile-name": built(records.instance(ID, name=HOSTILE), place("qemu", disk)),
    }


CASES = domains() | ELEMENTS


@pytest.mark.parametrize("name", CASES)
def test_golden(name: str) -> None:
    node = CASES[name].to_xml()
    ET.indent(node)
    text = ET.tostring(node, encoding="unicode") + "\n"
    path = GOLDEN / f"{name}.xml"
    if UPDATE:
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text, "make golden-update, then read the difference"


@pytest.mark.skipif(UPDATE, reason="they are just being written")
def test_no_golden_file_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.glob("*.xml")} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_reading_gives_back_what_was_written(name: str) -> None:
    case = CASES[name]
    read = type(case).from_text(case.to_text())
    # What XML cannot carry is not given back, but the second time nothing changes.
    assert read == case or name == "hostile-name"
    assert read.to_text() == case.to_text()


def test_a_hostile_name_stays_text() -> None:
    domain = CASES["hostile-name"]
    assert isinstance(domain, Domain)
    read = Domain.from_text(domain.to_text())
    assert read.title is not None
    assert "\n" not in read.title
    assert read.title.startswith("</title><title>\"'&amp;]]>")
    assert read.instance is not None
    assert read.instance.id == ID
    assert read.instance.name.endswith("\U0001f980")


def test_the_whole_record_comes_back_from_the_metadata() -> None:
    record = records.instance(ID, name="\u00e9t\u00e9 \U0001f980", nics=(records.nic(),)).evolve(
        metadata={"note": "\ufffe\u0001 kept, although XML cannot carry it"}
    )
    domain = Domain.from_text(domain_of(record, 1, place("qemu", BootFiles(BASE))).to_text())
    assert domain.instance is not None
    assert InstanceRecord.model_validate_json(domain.instance.record) == record


def test_an_empty_name_leaves_no_title() -> None:
    domain = domain_of(records.instance(ID, name=" \n "), 1, place("qemu", BootFiles(BASE)))
    assert domain.title is None
