"""The Linked Data Event Stream: every event once, unchanging, in pages that fill up and then never change.

Rules:
1. The entry point holds no members; it leads to the pages, and to ranges of a hundred full pages each.
2. A page holds 250 positions of the stream. When they are taken it is immutable, and so is a range of
   full pages.
3. A relation gives the instants between which the members behind it were appended: from the first of its
   own (included) to the first of what follows (excluded).
4. A member is a version of an opportunity; its name comes from the event's id, and is the same in every feed.

Source: Linked Data Event Streams 1.0.0-alpha and the TREE hypermedia specification (SEMIC).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from services.subscribers.feeds.atom import instant
from services.subscribers.feeds.entry import opportunity_id, safe_url
from services.subscribers.feeds.rdf import PREFIXES, Iri, Literal, Node, Term

PAGE = 250
PAGES_IN_RANGE = 100
POLLING_SECONDS = 300
_TEXTS = (
    ("title", "dcterms:title"),
    ("summary", "dcterms:abstract"),
    ("description", "dcterms:description"),
)
_INSTANTS = (("published_at", "dcterms:issued"), ("deadline", "schema:validThrough"))
#: Source of the vocabularies: the Publications Office, EU Vocabularies.
_CODES = {
    "cpv": ("dcterms:subject", "http://data.europa.eu/cpv/cpv/"),
    "regions": ("dcterms:spatial", "http://data.europa.eu/nuts/code/"),
}


@dataclass(frozen=True, slots=True)
class Stream:
    """Where a stream is: its entry point, and where its members and shape are."""

    root: str
    members: str
    shape: str

    @property
    def iri(self) -> str:
        """The name of the stream itself."""
        return f"{self.root}#stream"

    def page(self, number: int) -> str:
        """Where a page is; the first is 1."""
        return f"{self.root}/pages/{number}"

    def range(self, number: int) -> str:
        """Where a range of pages is; the first is 1."""
        return f"{self.root}/ranges/{number}"


@dataclass(frozen=True, slots=True)
class Member:
    """An event, as it stands in the stream."""

    event_id: UUID
    type: str
    subject: str
    source: str
    version: int
    appended_at: datetime
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Relation:
    """A node further on, and the instants between which its members were appended; the last is open."""

    url: str
    since: datetime
    until: datetime | None


def member_of(row: Any) -> Member:
    """Read a member from its row."""
    names = [name for name in Member.__slots__ if name != "event_id"]
    return Member(event_id=row["id"], **{name: row[name] for name in names})


def page_count(head: int) -> int:
    """Count the pages of a stream that ends at this position."""
    return -(-head // PAGE)


def first_position(page: int) -> int:
    """Tell which position a page begins with.

    >>> first_position(1), first_position(2), page_count(250), page_count(251)
    (1, 251, 1, 2)
    """
    return (page - 1) * PAGE + 1


def page_is_full(page: int, head: int) -> bool:
    """Tell whether all positions of a page are taken."""
    return page * PAGE <= head


def range_is_full(number: int, head: int) -> bool:
    """Tell whether a range is closed: the page after it has begun, so that all its instants are known."""
    return page_count(head) > number * PAGES_IN_RANGE


def pages_of_range(number: int) -> range:
    """List the pages of a range."""
    return range((number - 1) * PAGES_IN_RANGE + 1, number * PAGES_IN_RANGE + 1)


def closed_ranges(head: int) -> int:
    """Count the ranges that are closed."""
    return max(page_count(head) - 1, 0) // PAGES_IN_RANGE


def pages_outside_ranges(head: int) -> range:
    """List the pages that no closed range holds."""
    return range(closed_ranges(head) * PAGES_IN_RANGE + 1, page_count(head) + 1)


def entry_point(stream: Stream, relations: Sequence[Relation]) -> list[Node]:
    """Describe the stream, and where its members are found."""
    described = Node(
        stream.iri,
        [
            ("rdf:type", _name("ldes:EventStream")),
            ("dcterms:title", Literal("Opdrachten", language="nl")),
            ("ldes:timestampPath", _name("dcterms:created")),
            ("ldes:versionOfPath", _name("dcterms:isVersionOf")),
            ("ldes:pollingInterval", Literal(str(POLLING_SECONDS), "xsd:integer")),
            ("tree:shape", Iri(stream.shape)),
            ("tree:view", Iri(stream.root)),
        ],
    )
    return [described, _node(stream.root, relations, immutable=False)]


def index(url: str, relations: Sequence[Relation], *, immutable: bool) -> list[Node]:
    """Write a range: a node that only leads to pages."""
    return [_node(url, relations, immutable=immutable)]


def page(stream: Stream, number: int, members: Iterable[Member], *, immutable: bool) -> list[Node]:
    """Write a page with its members."""
    described = [describe(stream, member) for member in members]
    belongs: list[tuple[str, Term]] = [("tree:member", Iri(node.iri or "")) for node in described]
    event_stream = Node(stream.iri, [("rdf:type", _name("ldes:EventStream")), *belongs])
    return [event_stream, _node(stream.page(number), (), immutable=immutable), *described]


def describe(stream: Stream, member: Member) -> Node:
    """Describe a member: a version of an opportunity, and what happened to it."""
    about: list[tuple[str, Term]] = [
        ("rdf:type", _name("schema:Demand")),
        ("dcterms:isVersionOf", Iri(opportunity_id(member.source, member.subject).urn)),
        ("dcterms:created", _instant(member.appended_at)),
        ("schema:additionalType", Literal(member.type)),
        ("schema:version", Literal(str(member.version), "xsd:integer")),
        ("dcterms:identifier", Literal(member.subject)),
    ]
    return Node(f"{stream.members}/{member.event_id}", [*about, *_facts(member.data)])


def _facts(data: Mapping[str, Any]) -> Iterable[tuple[str, Term]]:
    for field, name in _TEXTS:
        for language, text in (data.get(field) or {}).items():
            yield name, Literal(text, language=language)
    yield from _parties(data)
    for field, name in _INSTANTS:
        if data.get(field):
            yield name, _instant(datetime.fromisoformat(data[field]))
    for field, (name, vocabulary) in _CODES.items():
        yield from ((name, Iri(vocabulary + code)) for code in data.get(field) or ())
    yield from (("schema:keywords", Literal(theme)) for theme in data.get("themes") or ())
    if url := safe_url(data.get("url")):
        yield "schema:url", Iri(url)


def _parties(data: Mapping[str, Any]) -> Iterable[tuple[str, Term]]:
    if buyer := data.get("buyer"):
        about: list[tuple[str, Term]] = [
            ("rdf:type", _name("schema:Organization")),
            ("schema:name", Literal(buyer["name"])),
        ]
        about += [("schema:identifier", Literal(buyer[key])) for key in ("kbo", "ovo_code") if buyer.get(key)]
        if url := safe_url(buyer.get("url")):
            about.append(("schema:url", Iri(url)))
        yield "schema:buyer", Node(None, about)
    if value := data.get("estimated_value"):
        priced: list[tuple[str, Term]] = [
            ("rdf:type", _name("schema:PriceSpecification")),
            ("schema:price", Literal(f"{Decimal(str(value['amount'])):f}", "xsd:decimal")),
            ("schema:priceCurrency", Literal(value.get("currency", "EUR"))),
            ("schema:valueAddedTaxIncluded", Literal("false", "xsd:boolean")),
        ]
        yield "schema:priceSpecification", Node(None, priced)


def _node(url: str, relations: Sequence[Relation], *, immutable: bool) -> Node:
    about: list[tuple[str, Term]] = [("rdf:type", _name("tree:Node"))]
    if immutable:
        about.append(("ldes:immutable", Literal("true", "xsd:boolean")))
    for relation in relations:
        about.append(_relation("tree:GreaterThanOrEqualToRelation", relation.url, relation.since))
        if relation.until:
            about.append(_relation("tree:LessThanRelation", relation.url, relation.until))
    return Node(url, about)


def _relation(kind: str, url: str, at: datetime) -> tuple[str, Term]:
    about: list[tuple[str, Term]] = [
        ("rdf:type", _name(kind)),
        ("tree:node", Iri(url)),
        ("tree:path", _name("dcterms:created")),
        ("tree:value", _instant(at)),
    ]
    return "tree:relation", Node(None, about)


def _instant(at: datetime) -> Literal:
    return Literal(instant(at), "xsd:dateTime")


def _name(short: str) -> Iri:
    prefix, _, name = short.partition(":")
    return Iri(PREFIXES[prefix] + name)
