"""The event stream, read by rdflib, held against its own shape by pyshacl, and followed as a client does."""

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pyshacl
import pytest
from rdflib import DCTERMS, RDF, Graph, Literal, Namespace, URIRef
from rdflib.compare import isomorphic

from services.runtime.database import Pool
from tests.integration.feeding import PUBLIC, Stage, staged

LDES = Namespace("https://w3id.org/ldes#")
TREE = Namespace("https://w3id.org/tree#")
SCHEMA = Namespace("https://schema.org/")
ROOT = f"{PUBLIC}/ldes"
TURTLE, JSON_LD = "text/turtle", "application/ld+json"
HOSTILE = '"""@nl . <x> <y> \\" \\u0041 \n\t<script>\U0001f3f4'.replace("\n\t", " ")


@pytest.fixture
async def stage(pool: Pool) -> AsyncIterator[Stage]:
    async with staged(pool) as opened:
        yield opened


async def graph(stage: Stage, url: str, accept: str = TURTLE) -> Graph:
    """Read a node as Turtle or JSON-LD."""
    answer = await stage.get(url, Accept=accept)
    assert answer.status == 200, answer.body
    assert answer.headers["Content-Type"] == f"{accept}; charset=utf-8"
    assert answer.headers["Vary"] == "Accept"
    raw = json.dumps(answer.body) if accept == JSON_LD else answer.body
    return Graph().parse(data=raw, format="json-ld" if accept == JSON_LD else "turtle")


class Client:
    """Follows every relation, and checks that members are where the relations say that they are."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.members = stage, dict[str, Any]()
        self.nodes = list[str]()

    async def follow(self, url: str, bounds: tuple[tuple[URIRef, Any], ...] = ()) -> "Client":
        found = await graph(self.stage, url)
        self.nodes.append(url)
        for member in found.objects(None, TREE.member):
            created = found.value(member, DCTERMS.created)
            assert str(member) not in self.members
            self.members[str(member)] = created
            for kind, value in bounds:
                assert created >= value if kind == TREE.GreaterThanOrEqualToRelation else created < value
        further: dict[str, list[tuple[URIRef, Any]]] = {}
        for relation in found.objects(URIRef(url), TREE.relation):
            assert found.value(relation, TREE.path) == DCTERMS.created
            bound = (found.value(relation, RDF.type), found.value(relation, TREE.value))
            further.setdefault(str(found.value(relation, TREE.node)), []).append(bound)  # type: ignore[arg-type]
        for node, own in further.items():
            await self.follow(node, (*bounds, *own))
        return self


async def test_the_entry_point_describes_the_stream(stage: Stage) -> None:
    await stage.announce({})
    found = await graph(stage, ROOT)
    streams = list(found.subjects(RDF.type, LDES.EventStream))
    assert [str(stream) for stream in streams] == [f"{stage.api.url}{ROOT}#stream"]
    stream = streams[0]
    assert found.value(stream, LDES.timestampPath) == DCTERMS.created
    assert found.value(stream, LDES.versionOfPath) == DCTERMS.isVersionOf
    assert list(found.objects(None, TREE.view)) == [URIRef(f"{stage.api.url}{ROOT}")]
    shape = await graph_of_shape(stage, str(found.value(stream, TREE.shape)))
    assert (
        found.value(stream, TREE.shape),
        RDF.type,
        URIRef("http://www.w3.org/ns/shacl#NodeShape"),
    ) in shape


async def graph_of_shape(stage: Stage, url: str) -> Graph:
    return Graph().parse(data=(await stage.get(url)).body, format="turtle")


async def test_every_event_is_a_member_that_keeps_to_the_shape(stage: Stage) -> None:
    full = {
        "id": "een",
        "title": {"nl": HOSTILE, "en": "Quay", "fr-BE": "Quai"},
        "description": {"nl": f"Eerste regel\n{HOSTILE}\r\n\tlaatste \\"},
        "buyer": {"name": HOSTILE, "url": "https://stad.example/", "kbo": "0123.456.789"},
        "estimated_value": {"amount": 0.0001, "currency": "SEK"},
        "url": 'https://stad.example/{a}|"b"<c>\\^`é',
        "deadline": "2027-06-30T12:00:00+23:59",
    }
    await stage.announce(full, {"id": "twee", "summary": None, "buyer": None, "regions": None})
    await stage.announce({**full, "version": 2, "title": "Nieuw"}, kind="updated")
    for kind in ("withdrawn", "closed", "awarded"):
        await stage.notice(kind, "een", version=2)
    await stage.notice("withdrawn", "nooit-gezien")
    found = await graph(stage, f"{ROOT}/pages/1")
    shape = await graph_of_shape(stage, f"{ROOT}/shape")
    conforms, _, text = pyshacl.validate(found, shacl_graph=shape)
    assert conforms, text
    members = list(found.objects(None, TREE.member))
    assert len(members) == 7
    assert all((member, RDF.type, SCHEMA.Demand) in found for member in members)
    first = next(found.subjects(DCTERMS.title, Literal("Quay", lang="en")))
    titles = {(str(title), title.language) for title in found.objects(first, DCTERMS.title)}  # type: ignore[attr-defined]
    assert titles == {(HOSTILE, "nl"), ("Quay", "en"), ("Quai", "fr-BE")}
    assert len({found.value(member, DCTERMS.isVersionOf) for member in members}) == 3
    item = (await stage.items())[-1]
    assert URIRef(item["id"]) in set(found.objects(None, DCTERMS.isVersionOf))


async def test_a_member_that_lacks_what_the_shape_asks_does_not_conform(stage: Stage) -> None:
    await stage.announce({})
    found = await graph(stage, f"{ROOT}/pages/1")
    found.remove((None, DCTERMS.isVersionOf, None))
    conforms, _, _ = pyshacl.validate(found, shacl_graph=await graph_of_shape(stage, f"{ROOT}/shape"))
    assert not conforms


async def test_turtle_and_json_ld_say_the_same(stage: Stage) -> None:
    await stage.announce({"title": {"nl": HOSTILE}}, {"url": "https://stad.example/<a>"})
    for url in (ROOT, f"{ROOT}/pages/1"):
        turtle, json_ld = await graph(stage, url), await graph(stage, url, JSON_LD)
        assert len(turtle) > 5
        assert isomorphic(turtle, json_ld)


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("", TURTLE),
        ("*/*", TURTLE),
        ("text/html", TURTLE),
        ("application/ld+json, text/turtle;q=0.9", JSON_LD),
        ("application/*;q=0.8, text/turtle;q=0.1", JSON_LD),
        ("application/ld+json;q=0, */*", TURTLE),
        ("application/ld+json;q=x", TURTLE),
    ],
)
async def test_the_receiver_chooses_how_it_is_written(stage: Stage, accept: str, media_type: str) -> None:
    answer = await stage.get(ROOT, Accept=accept)
    assert answer.headers["Content-Type"] == f"{media_type}; charset=utf-8"


async def test_a_client_finds_every_member_once_where_the_relations_say(stage: Stage) -> None:
    ids = [event for _ in range(3) for event in await stage.announce(*({} for _ in range(170)))]
    await stage.notice("withdrawn", "nooit-gezien")
    client = await Client(stage).follow(f"{stage.api.url}{ROOT}")
    assert len(client.nodes) == 4
    named = {UUID(member.rpartition("/")[2]) for member in client.members}
    assert len(client.members) == 511
    assert named > set(ids)
    created = list(client.members.values())
    assert len(set(created)) == 511


async def test_full_pages_never_change_and_say_so(stage: Stage) -> None:
    await stage.announce(*({} for _ in range(250)))
    first = await stage.get(f"{ROOT}/pages/1")
    assert first.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert (await stage.get(f"{ROOT}/pages/2")).status == 404
    assert "ldes:immutable" in first.body
    await stage.announce({})
    again = await stage.get(f"{ROOT}/pages/1")
    assert (again.body, again.headers["ETag"]) == (first.body, first.headers["ETag"])
    second = await stage.get(f"{ROOT}/pages/2")
    assert second.headers["Cache-Control"] == "public, max-age=300"
    assert "ldes:immutable" not in second.body


async def test_a_member_can_be_read_by_its_name_and_never_changes(stage: Stage) -> None:
    event = (await stage.announce({"id": "een"}))[0]
    page = await graph(stage, f"{ROOT}/pages/1")
    name = next(iter(page.objects(None, TREE.member)))
    assert str(name) == f"{stage.api.url}{ROOT}/members/{event}"
    answer = await stage.get(str(name))
    assert answer.headers["Cache-Control"].endswith("immutable")
    await stage.announce({"id": "een", "version": 2, "title": "Anders"}, kind="updated")
    await stage.items()
    assert (await stage.get(str(name))).body == answer.body
    alone = await graph(stage, str(name))
    nested = (SCHEMA.buyer, SCHEMA.priceSpecification)  # without names, so not the same twice
    said = {(p, o) for p, o in alone.predicate_objects(name) if p not in nested}
    assert said == {(p, o) for p, o in page.predicate_objects(name) if p not in nested}


async def test_what_is_not_there_is_not_found(stage: Stage) -> None:
    await stage.announce({})
    for path in ("pages/2", "ranges/1", "members/01a20b6f-eace-705e-8aa7-5033a3b91aa2", "members/", "else"):
        assert (await stage.get(f"{ROOT}/{path}")).status == 404
    for path in ("pages/0", "pages/x", "ranges/-1", "members/x", f"pages/{10**30}"):
        assert (await stage.get(f"{ROOT}/{path}")).status == 422


async def test_a_long_stream_is_entered_by_ranges_of_pages(stage: Stage) -> None:
    await stage.many(25_251)
    root = await graph(stage, ROOT)
    nodes = {str(node).rpartition("/ldes/")[2] for node in root.objects(None, TREE.node)}
    assert nodes == {"ranges/1", "pages/101", "pages/102"}
    answer = await stage.get(f"{ROOT}/ranges/1")
    assert answer.headers["Cache-Control"].endswith("immutable")
    pages = {str(node) for node in (await graph(stage, f"{ROOT}/ranges/1")).objects(None, TREE.node)}
    assert pages == {f"{stage.api.url}{ROOT}/pages/{number}" for number in range(1, 101)}
    for number in (100, 102):
        members = (await graph(stage, f"{ROOT}/pages/{number}")).objects(None, TREE.member)
        assert len(list(members)) == (250 if number == 100 else 1)


async def test_a_subscribers_stream_holds_the_events_that_its_filter_wants(stage: Stage) -> None:
    await stage.announce({"id": "een", "themes": ["zorg"]}, {"id": "twee", "themes": ["water"]})
    await stage.announce({"id": "een", "version": 2, "themes": ["water"]}, kind="updated")
    for subject in ("een", "twee", "nooit-gezien"):
        await stage.notice("withdrawn", subject, version=2)
    await stage.subscriber("corda", {"themes": ["zorg"]})
    root = f"/feeds/{await stage.token('corda')}/opportunities/ldes"
    client = await Client(stage).follow(f"{stage.api.url}{root}")
    own = await graph(stage, f"{root}/pages/1")
    kinds = [str(own.value(URIRef(member), SCHEMA.additionalType)) for member in client.members]
    assert sorted(kinds) == ["opportunity.published", "opportunity.withdrawn"]
    everything = await Client(stage).follow(f"{stage.api.url}{ROOT}")
    assert set(client.members) < set(everything.members)
    assert "ldes:immutable" not in (await stage.get(f"{root}/pages/1")).body
