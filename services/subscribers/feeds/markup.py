"""Writes XML that is well-formed whatever the texts hold."""

import re
from xml.etree import ElementTree as ET

#: All but the characters of XML 1.0 (section 2.2): these cannot be in a document, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Element = ET.Element


def element(name: str, attributes: dict[str, str] | None = None) -> Element:
    """Begin an element."""
    return ET.Element(name, {key: clean(value) for key, value in (attributes or {}).items()})


def add(
    parent: Element, name: str, text: str | None = None, attributes: dict[str, str] | None = None
) -> Element:
    """Put an element, with a text or none, at the end of another."""
    child = element(name, attributes)
    child.text = None if text is None else clean(text)
    parent.append(child)
    return child


def document(root: Element) -> bytes:
    """Write a document in UTF-8."""
    text: str = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'.encode()


def clean(text: str) -> str:
    """Replace what XML cannot hold.

    >>> clean("a\\x00b")
    'a�b'
    """
    return _NOT_XML.sub("�", text)
