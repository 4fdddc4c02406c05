"""Writes statements as Turtle or JSON-LD: the same ones, whatever the texts hold.

Source: RDF 1.1 Turtle (W3C, 2014), section 6.4 for what is escaped; JSON-LD 1.1 (W3C, 2020).
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

TURTLE = "text/turtle"
JSON_LD = "application/ld+json"
PREFIXES = {
    "dcterms": "http://purl.org/dc/terms/",
    "ldes": "https://w3id.org/ldes#",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "schema": "https://schema.org/",
    "sh": "http://www.w3.org/ns/shacl#",
    "tree": "https://w3id.org/tree#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
_NOT_IN_IRIS = re.compile(r"[\x00-\x20<>\"{}|^`\\\x7f-\x9f\ud800-\udfff]")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_TO_ESCAPE = re.compile(r'[\\"\x00-\x1f\x7f\ud800-\udfff]')


@dataclass(frozen=True, slots=True)
class Iri:
    """A name: an absolute IRI."""

    value: str


@dataclass(frozen=True, slots=True)
class Literal:
    """A value; a text has a language, anything else a datatype, as `prefix:name`."""

    value: str
    datatype: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True)
class Node:
    """What is said of one subject; one without a name is only spoken of where it stands."""

    iri: str | None
    about: Sequence[tuple[str, "Term"]]


Term: TypeAlias = Iri | Literal | Node


def turtle(nodes: Iterable[Node]) -> bytes:
    """Write nodes as Turtle."""
    prefixes = "".join(f"@prefix {name}: <{iri}> .\n" for name, iri in PREFIXES.items())
    subjects = "".join(f"\n{_iri(node.iri or '')} {_about(node, '  ')} .\n" for node in nodes)
    return (prefixes + subjects).encode()


def json_ld(nodes: Iterable[Node]) -> bytes:
    """Write nodes as JSON-LD, with the context in the document itself."""
    document = {"@context": PREFIXES, "@graph": [_object(node) for node in nodes]}
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")


def safe_iri(iri: str) -> str:
    """Percent-encode what an IRI cannot hold."""
    return _NOT_IN_IRIS.sub(
        lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "replace")), iri
    )


def _about(node: Node, indent: str) -> str:
    return f" ;\n{indent}".join(f"{_predicate(name)} {_term(term, indent)}" for name, term in node.about)


def _predicate(name: str) -> str:
    return "a" if name == "rdf:type" else name


def _term(term: Term, indent: str) -> str:
    if isinstance(term, Iri):
        return _iri(term.value)
    if isinstance(term, Literal):
        return f'"{_escaped(term.value)}"{_kind(term)}'
    return f"[ {_about(term, indent + '  ')} ]"


def _kind(literal: Literal) -> str:
    if literal.language:
        return f"@{literal.language}"
    return f"^^{literal.datatype}" if literal.datatype else ""


def _iri(iri: str) -> str:
    return f"<{safe_iri(iri)}>"


def _escaped(text: str) -> str:
    return _TO_ESCAPE.sub(lambda found: _ESCAPES.get(found[0]) or _code(found[0]), text)


def _code(character: str) -> str:
    # a lone surrogate is no character: its replacement stands for it
    return "\ufffd" if character >= "\ud800" else f"\\u{ord(character):04X}"


def _object(node: Node) -> dict[str, object]:
    written: dict[str, object] = {"@id": safe_iri(node.iri)} if node.iri else {}
    for name, term in node.about:
        key = "@type" if name == "rdf:type" else name
        value = _full(term) if key == "@type" and isinstance(term, Iri) else _value(term)
        written.setdefault(key, []).append(value)  # type: ignore[attr-defined]
    return written


def _value(term: Term) -> object:
    if isinstance(term, Iri):
        return {"@id": safe_iri(term.value)}
    if isinstance(term, Node):
        return _object(term)
    if term.language:
        return {"@value": term.value, "@language": term.language}
    return {"@value": term.value, **({"@type": term.datatype} if term.datatype else {})}


def _full(term: Iri) -> str:
    return safe_iri(term.value)
