"""Parses the XML of an eForms notice: hostile bytes in, a small and safe element tree out.

Rules:
1. Whatever the bytes, the answer is a tree or `NoticeError`: no network, no entities, no recursion.
2. Size, number of elements and depth have a limit far above any real notice.
"""

import re
from itertools import chain
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

MAX_BYTES = 5_000_000
_MAX_ELEMENTS = 300_000
_DEEPEST = 60

NAMESPACES = {
    "cac": "urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2",
    "cbc": "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2",
    "ext": "urn:oasis:names:specification:ubl:schema:xsd:CommonExtensionComponents-2",
    "efext": "http://data.europa.eu/p27/eforms-ubl-extensions/1",
    "efac": "http://data.europa.eu/p27/eforms-ubl-extension-aggregate-components/1",
    "efbc": "http://data.europa.eu/p27/eforms-ubl-extension-basic-components/1",
}
EXTENSION = "ext:UBLExtensions/ext:UBLExtension/ext:ExtensionContent/efext:EformsExtension"

_NOTICES = ("ContractNotice", "PriorInformationNotice", "ContractAwardNotice")
_ROOTS = {f"{{urn:oasis:names:specification:ubl:schema:xsd:{name}-2}}{name}": name for name in _NOTICES}
_DECLARED = re.compile(rb"""<\?xml[^>]{0,100}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")


class NoticeError(ValueError):
    """Refuse a file as a notice; the text is one sentence for whoever can mend it."""


def parse(raw: bytes) -> Element:
    """Parse a notice and return its root; raises `NoticeError` for whatever is not one.

    Source: eForms SDK, schemas for ContractNotice, PriorInformationNotice and ContractAwardNotice.
    """
    _refuse_too_large(raw)
    _refuse_hidden_utf8(raw)
    try:
        root: Element = fromstring(raw, forbid_dtd=True)
    except DefusedXmlException:
        raise NoticeError("The file declares a DTD or entities, which a notice never does.") from None
    except ParseError as error:
        raise NoticeError(f"The file is not well-formed XML: {error.msg}.") from None
    except (ValueError, LookupError):
        raise NoticeError("The file declares an encoding that is not known or not its own.") from None
    if root.tag not in _ROOTS:
        raise NoticeError(f"The file is not an eForms notice: its root must be one of {', '.join(_NOTICES)}.")
    _refuse_too_deep(root)
    return root


def root_name(root: Element) -> str:
    """Name the kind of document, such as `ContractNotice`."""
    return _ROOTS[root.tag]


def find(element: Element, path: str) -> Element | None:
    """Give the first element at a path, if any."""
    return element.find(path, NAMESPACES)


def find_all(element: Element, path: str) -> list[Element]:
    """Give every element at a path, in the order of the document."""
    return element.findall(path, NAMESPACES)


def value(element: Element | None, path: str) -> str:
    """Give the text of the first element at a path, stripped; empty when there is none."""
    if element is None:
        return ""
    return (element.findtext(path, "", NAMESPACES) or "").strip()


def _refuse_too_large(raw: bytes) -> None:
    if len(raw) > MAX_BYTES:
        raise NoticeError(f"The file is larger than the {MAX_BYTES} bytes accepted for a notice.")
    if raw.count(b"<") > 2 * _MAX_ELEMENTS:
        raise NoticeError(f"The file holds more than the {_MAX_ELEMENTS} elements accepted for a notice.")


def _refuse_hidden_utf8(raw: bytes) -> None:
    """Refuse UTF-8 that says it is something else: the parser would garble it without a word.

    Text in a single-byte encoding is practically never valid UTF-8 beyond ASCII.
    """
    declared = _DECLARED.match(raw)
    if declared is None or raw.isascii() or declared[1].lower() in (b"utf-8", b"utf8"):
        return
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return
    raise NoticeError(f"The file declares the encoding {declared[1].decode()} but is written in UTF-8.")


def _refuse_too_deep(root: Element) -> None:
    level = [root]
    for _ in range(_DEEPEST):
        level = list(chain.from_iterable(level))
    if level:
        raise NoticeError(f"The file is nested deeper than the {_DEEPEST} levels accepted for a notice.")
