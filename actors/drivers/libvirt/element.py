"""One frozen dataclass for each XML element, and the way from one to the other.

A field says where it lies, relative to its element: ``at("target/@dev")`` is an attribute,
``at("memory")`` a text, ``at("devices")`` the parent of nested elements. The type says what is
there:

    str, int            text or attribute
    bool                attribute: yes or no; element: present or not
    Element             a nested element
    tuple[Element, …]   all nested elements of that kind

None means absent. What libvirt adds by itself is passed over on reading.
Tenants choose names, so XML is never put together from strings: ElementTree escapes, and what XML
1.0 cannot carry at all becomes U+FFFD.
"""

import re
import types
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar, Final, Self, get_args, get_origin, get_type_hints

_PATH: Final = "xml"
_ILLEGAL: Final = re.compile("[^\t\n\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def at(path: str) -> Mapping[str, str]:
    """Field metadata: where the value lies."""
    return {_PATH: path}


def legal_text(value: str) -> str:
    """The text with every character that XML 1.0 cannot carry replaced by U+FFFD.

    A carriage return counts as one: readers take it for a line feed.
    """
    return _ILLEGAL.sub("\ufffd", value)


class Element:
    """Base of all elements; subclasses are frozen dataclasses."""

    __slots__ = ()

    TAG: ClassVar[str]
    NAMESPACE: ClassVar[str] = ""

    @classmethod
    def qualified(cls, tag: str) -> str:
        """The tag in this element's namespace, as ElementTree spells it."""
        return f"{{{cls.NAMESPACE}}}{tag}" if cls.NAMESPACE else tag

    def to_xml(self) -> ET.Element:
        """The element."""
        node = ET.Element(self.qualified(self.TAG))
        for slot in _slots(type(self)):
            value = getattr(self, slot.name)
            if value is not None:
                slot.write(type(self), node, value)
        return node

    def to_text(self) -> str:
        """The element as a document."""
        return ET.tostring(self.to_xml(), encoding="unicode")

    def to_bare_text(self) -> str:
        """The element as a document without its namespace, as virDomainSetMetadata wants it."""
        node = self.to_xml()
        for each in node.iter():
            each.tag = each.tag.rpartition("}")[2]
        return ET.tostring(node, encoding="unicode")

    @classmethod
    def from_xml(cls, node: ET.Element) -> Self:
        """Read the element; a field that is not there keeps its default.

        Raises:
            ValueError: A number is none.
            TypeError: A field without default is not there.
        """
        found = {slot.name: slot.read(cls, node) for slot in _slots(cls)}
        return cls(**{name: value for name, value in found.items() if value is not None})

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read a document.

        Raises:
            xml.etree.ElementTree.ParseError: The text is not XML.
            ValueError: A number is none.
            TypeError: A field without default is not there.
        """
        return cls.from_xml(ET.fromstring(text))  # noqa: S314 - written by libvirt or by us


@dataclass(frozen=True, slots=True)
class _Slot:
    """Where one field lies and what it holds."""

    name: str
    parents: tuple[str, ...]
    #: An attribute's or a text element's name; empty where the value is the node's own text.
    leaf: str
    attribute: bool
    kind: type
    many: bool

    def write(self, owner: type[Element], node: ET.Element, value: object) -> None:
        """Put a value that is not None below ``node``."""
        if value == () or (value is False and not self.attribute):
            return
        for tag in self.parents:
            node = _ensure(node, owner.qualified(tag))
        match value:
            case Element():
                node.append(value.to_xml())
            case tuple():
                node.extend(element.to_xml() for element in value)
            case bool() if self.attribute:
                node.set(self.leaf, "yes" if value else "no")
            case True:
                _ensure(node, owner.qualified(self.leaf))
            case _ if self.attribute:
                node.set(self.leaf, legal_text(str(value)))
            case _:
                target = _ensure(node, owner.qualified(self.leaf)) if self.leaf else node
                target.text = legal_text(str(value))

    def read(self, owner: type[Element], node: ET.Element) -> object:
        """The value below ``node``, or None where there is none."""
        found: ET.Element | None = node
        for tag in self.parents:
            found = None if found is None else _child(owner, found, tag)
        if found is None:
            return None
        if issubclass(self.kind, Element):
            return self._read_elements(self.kind, found)
        if self.attribute:
            return self._value(found.get(self.leaf))
        target = _child(owner, found, self.leaf) if self.leaf else found
        if self.kind is bool:
            return target is not None
        return None if target is None else self._value(target.text or "")

    def _read_elements(self, kind: type[Element], node: ET.Element) -> object:
        tag = kind.qualified(kind.TAG)
        if self.many:
            return tuple(kind.from_xml(child) for child in node.findall(tag))
        child = _child(kind, node, kind.TAG)
        return None if child is None else kind.from_xml(child)

    def _value(self, text: str | None) -> object:
        if text is None:
            return None
        if self.kind is bool:
            return text == "yes"
        return int(text) if self.kind is int else text


def _ensure(node: ET.Element, tag: str) -> ET.Element:
    child = node.find(tag)
    return ET.SubElement(node, tag) if child is None else child


def _child(owner: type[Element], node: ET.Element, tag: str) -> ET.Element | None:
    # virDomainGetMetadata leaves the namespace out, virDomainGetXMLDesc keeps it.
    child = node.find(owner.qualified(tag))
    if child is None and owner.NAMESPACE and not node.tag.startswith("{"):
        return node.find(tag)
    return child


_SLOTS: Final[dict[type[Element], tuple[_Slot, ...]]] = {}


def _slots(cls: type[Element]) -> tuple[_Slot, ...]:
    slots = _SLOTS.get(cls)
    if slots is None:
        hints = get_type_hints(cls)
        slots = tuple(
            _slot(field.name, field.metadata[_PATH], hints[field.name])
            for field in fields(cls)  # type: ignore[arg-type]  # every subclass is a dataclass
        )
        _SLOTS[cls] = slots
    return slots


def _slot(name: str, path: str, hint: object) -> _Slot:
    kind = _without_none(hint)
    many = get_origin(kind) is tuple
    if many:
        kind = get_args(kind)[0]
    if not isinstance(kind, type):
        raise TypeError(f"field {name}: {hint} is no element and no value")
    parts = tuple(path.split("/")) if path else ()
    if issubclass(kind, Element):
        return _Slot(name, parts, "", False, kind, many)
    leaf = parts[-1] if parts else ""
    return _Slot(name, parts[:-1], leaf.removeprefix("@"), leaf.startswith("@"), kind, many)


def _without_none(hint: object) -> object:
    if get_origin(hint) is not types.UnionType:
        return hint
    return next(each for each in get_args(hint) if each is not types.NoneType)
