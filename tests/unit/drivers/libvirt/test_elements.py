"""The mapping between dataclasses and XML."""

from collections.abc import Iterator
from dataclasses import MISSING, dataclass, field, fields
from typing import ClassVar

import pytest

from actors.drivers.libvirt.element import Element, at, legal_text
from actors.drivers.libvirt.metadata_xml import InstanceElement
from tests.unit.drivers.libvirt.elements import ELEMENTS


def all_elements(base: type[Element] = Element) -> Iterator[type[Element]]:
    for cls in base.__subclasses__():
        # A dataclass with slots is made twice; only the second is anybody's.
        if "__dataclass_fields__" in vars(cls) and cls.__module__.startswith("actors."):
            yield cls
        yield from all_elements(cls)


def fields_set(element: Element) -> Iterator[tuple[str, str]]:
    """The fields that hold something other than their default, all the way down."""
    for each in fields(element):  # type: ignore[arg-type]  # every element is a dataclass
        value = getattr(element, each.name)
        if value is None or (each.default is not MISSING and value == each.default):
            continue
        yield type(element).__name__, each.name
        for below in value if isinstance(value, tuple) else (value,):
            if isinstance(below, Element):
                yield from fields_set(below)


def test_every_field_is_set_by_some_golden_file() -> None:
    declared = {
        (cls.__name__, each.name)
        for cls in all_elements()
        for each in fields(cls)  # type: ignore[arg-type]
    }
    shown = {pair for element in ELEMENTS.values() for pair in fields_set(element)}
    assert len(declared) > 60
    assert declared == shown, "set the field in tests/unit/drivers/libvirt/elements.py"


@dataclass(frozen=True, slots=True)
class Part(Element):
    """For the tests below."""

    TAG: ClassVar[str] = "part"
    NAMESPACE: ClassVar[str] = "urn:part"

    number: int = field(metadata=at("@number"))
    text: str = field(default="", metadata=at(""))
    inner: str | None = field(default=None, metadata=at("a/b/inner"))


def test_a_namespace_may_be_left_out_where_libvirt_leaves_it_out() -> None:
    part = Part(1, inner="x")
    assert Part.from_text(part.to_text()) == part
    assert Part.from_text("<part number='1'><a><b><inner>x</inner></b></a></part>") == part
    assert part.to_bare_text() == '<part number="1"><a><b><inner>x</inner></b></a></part>'


def test_a_foreign_instance_element_is_not_ours() -> None:
    foreign = (
        "<n:instance xmlns:n='http://openstack.org/xmlns/libvirt/nova/1.1'><n:name/></n:instance>"
    )
    with pytest.raises(TypeError):
        InstanceElement.from_text(foreign)


def test_a_missing_field_without_default_is_refused() -> None:
    with pytest.raises(TypeError):
        Part.from_text("<part xmlns='urn:part'/>")


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="many"):
        Part.from_text("<part xmlns='urn:part' number='many'/>")


@pytest.mark.parametrize("code", [0, 8, 0xD, 0x1B, 0xD800, 0xDFFF, 0xFFFE, 0xFFFF])
def test_what_xml_cannot_carry_is_replaced(code: int) -> None:
    assert legal_text(f"a{chr(code)}b") == "a\ufffdb"
    assert Part.from_text(Part(1, inner=chr(code)).to_text()).inner == "\ufffd"


@pytest.mark.parametrize(
    "code", [9, 0xA, 0x20, 0x7F, 0xE9, 0xD7FF, 0xE000, 0xFFFD, 0x10FFFF, *b"<&>\"'"]
)
def test_what_xml_can_carry_stays(code: int) -> None:
    assert legal_text(chr(code)) == chr(code)
    assert Part.from_text(Part(1, inner=chr(code)).to_text()).inner == chr(code)
