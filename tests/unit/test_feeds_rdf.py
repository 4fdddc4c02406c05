"""Statements as Turtle and as JSON-LD: the same ones, whatever the texts hold."""

from hypothesis import given
from hypothesis import strategies as st
from rdflib import Graph, URIRef
from rdflib.compare import isomorphic
from rdflib.plugins.parsers.notation3 import BadSyntax

from services.subscribers.feeds import ldes
from services.subscribers.feeds.rdf import PREFIXES, Iri, Literal, Node, json_ld, safe_iri, turtle
from services.subscribers.feeds.shape import shape

texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00")
    | st.sampled_from("\"'\\\r\n\t.@^<>_:[]"),
    max_size=60,
)


def parsed(raw: bytes, written: str) -> Graph:
    return Graph().parse(data=raw, format=written)


@given(st.lists(texts, min_size=1, max_size=3), texts)
def test_turtle_and_json_ld_give_the_texts_back(values: list[str], path: str) -> None:
    about = [("dcterms:title", Literal(value, language="nl")) for value in values]
    inner = Node(None, [("schema:name", Literal(values[0]))])
    node = Node(
        f"https://a.example/{path}", [*about, ("schema:buyer", inner), ("schema:url", Iri("urn:" + path))]
    )
    as_turtle, as_json = parsed(turtle([node]), "turtle"), parsed(json_ld([node]), "json-ld")
    assert isomorphic(as_turtle, as_json)
    titles = {str(title) for title in as_turtle.objects(None, URIRef(PREFIXES["dcterms"] + "title"))}
    assert titles == set(values)
    assert len(as_turtle) == len(set(values)) + 3


@given(texts)
def test_an_iri_cannot_be_left_by_what_is_in_it(text: str) -> None:
    assert not set('<>"{}|^`\\ \r\n\t') & set(safe_iri(text))


def test_what_is_not_escaped_would_not_be_read() -> None:
    raw = turtle([Node("urn:a", [("dcterms:title", Literal('een "kade"'))])])
    assert b'\\"kade\\"' in raw
    try:
        parsed(raw.replace(b'\\"', b'"'), "turtle")
    except BadSyntax:
        return
    raise AssertionError("the reader takes what is no Turtle")


def test_the_shape_is_turtle_by_the_name_it_is_given() -> None:
    found = parsed(shape("https://a.example/shape"), "turtle")
    assert (URIRef("https://a.example/shape"), None, URIRef(PREFIXES["sh"] + "NodeShape")) in found


@given(st.integers(0, 60_000))
def test_every_position_is_on_one_page_and_every_page_in_one_place(head: int) -> None:
    pages = ldes.page_count(head)
    assert (pages - 1) * ldes.PAGE < head <= pages * ldes.PAGE or head == pages == 0
    placed = [page for n in range(1, ldes.closed_ranges(head) + 1) for page in ldes.pages_of_range(n)]
    placed += list(ldes.pages_outside_ranges(head))
    assert placed == list(range(1, pages + 1))
    assert len(ldes.pages_outside_ranges(head)) <= ldes.PAGES_IN_RANGE
    closed = [n for n in range(1, 5) if ldes.range_is_full(n, head)]
    assert closed == list(range(1, ldes.closed_ranges(head) + 1))
    assert all(ldes.page_is_full(page, head) for n in closed for page in ldes.pages_of_range(n))
