"""Records that are no events: kept whole with the reason, and in nobody's way."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from services.runtime.database import Pool
from services.storage import dead_letters
from services.storage.dead_letters import DeadLetter
from tests.integration.owing import Books, eventually, settings_for
from tests.integration.topics import Headers, make_topics, marketplace, planning
from tests.rig.samples import cloudevent, opportunity

pytestmark = pytest.mark.kafka
STRUCTURED: Headers = [("content-type", b"application/cloudevents+json")]


def written(**changes: Any) -> bytes:
    """Write an event with something changed."""
    return json.dumps(cloudevent(**changes)).encode()


POISON: dict[str, tuple[bytes | None, Headers, str]] = {
    "no json": (b"{", STRUCTURED, "JSON"),
    "not utf-8": (b'{"id": "\xff\xfe"}', STRUCTURED, ""),
    "nested too deep": (b"[" * 100_000, STRUCTURED, ""),
    "a number": (b"42", STRUCTURED, "object"),
    "nothing": (b"", STRUCTURED, ""),
    "a tombstone": (None, [], "tombstone"),
    "too large": (b'"' + b"x" * 2_000_000 + b'"', STRUCTURED, "larger than"),
    "a wrong specversion": (written(specversion="0.3"), STRUCTURED, "specversion"),
    "an unknown type": (written(type="opportunity.invented"), STRUCTURED, "type"),
    "no opportunity": (written(data={"id": "x"}), STRUCTURED, "data"),
    "an attribute that is no text": (
        json.dumps(opportunity()).encode(),
        [("ce_specversion", b"1.0"), ("ce_id", b"\xff\xfe"), ("ce_source", b"urn:x"), ("ce_type", b"\xff")],
        "",
    ),
    "an attribute that is null": (
        json.dumps(opportunity()).encode(),
        [("ce_specversion", None), ("ce_id", None), ("ce_source", None), ("ce_type", None)],
        "",
    ),
}


@pytest.fixture
async def books(pool: Pool, database_url: str, kafka: str) -> Books:
    """Books of this test's database, with topics of its own."""
    settings = settings_for(database_url, kafka_bootstrap_servers=kafka)
    await make_topics(settings)
    return Books(pool, settings)


async def letters(books: Books) -> list[DeadLetter]:
    """Read the dead letters."""
    async with books.pool.acquire() as connection:
        return await dead_letters.page(connection)


def there_are(count: int) -> Callable[[list[DeadLetter]], bool]:
    """Make the condition that there are so many."""
    return lambda found: len(found) == count


async def test_all_kinds_of_poison_in_one_batch_stop_no_event(books: Books) -> None:
    somebody = await books.subscribe("http://127.0.0.1:9/")
    places: dict[int, str] = {}
    async with marketplace(books.settings) as market:
        for kind, (value, headers, _) in POISON.items():
            await market.emit(cloudevent())
            places[await market.put(value, headers=headers, key=kind.encode())] = kind
        await market.emit(cloudevent())
    async with planning(books.pool, books.settings):
        await books.until_states(somebody.id, *["pending"] * (len(POISON) + 1))
        found = await eventually(lambda: letters(books), there_are(len(POISON)), what="the dead letters")
    assert {letter.offset: letter.key for letter in found} == {n: k.encode() for n, k in places.items()}
    for letter in found:
        value, headers, said = POISON[places[letter.offset]]
        assert (letter.topic, letter.partition) == (books.settings.events_topic, 0)
        assert letter.value == value
        assert letter.raw_headers() == list(headers)
        assert said in letter.reason
        assert 0 < len(letter.reason) <= 2_000
        assert letter.requeued_at is None


async def test_headers_beside_a_good_event_may_hold_anything(books: Books) -> None:
    somebody = await books.subscribe("http://127.0.0.1:9/")
    headers = [*STRUCTURED, ("trace", b"\xff\xfe\x00"), ("nothing", None), ("traceparent", b"\x80")]
    async with marketplace(books.settings) as market, planning(books.pool, books.settings):
        await market.put(written(), headers=headers)
        await books.until_states(somebody.id, "pending")
    assert await letters(books) == []


async def test_the_same_identity_with_other_content_is_a_dead_letter_that_names_what_is_known(
    books: Books,
) -> None:
    somebody = await books.subscribe("http://127.0.0.1:9/")
    known = cloudevent()
    other = {**known, "data": opportunity(title="Iets anders")}
    async with marketplace(books.settings) as market, planning(books.pool, books.settings):
        await market.emit(known)
        place = await market.emit(other)
        (letter,) = await eventually(lambda: letters(books), there_are(1), what="the dead letter")
    event_id = await books.pool.fetchval("SELECT id FROM events")
    assert letter.offset == place
    assert "conflict" in letter.reason
    assert str(event_id) in letter.reason
    assert len(await books.of_subscription(somebody.id)) == 1
    title = await books.pool.fetchval("SELECT data -> 'title' ->> 'nl' FROM events")
    assert title == known["data"]["title"]["nl"]


async def test_a_text_that_postgres_cannot_hold_costs_only_its_own_record(books: Books) -> None:
    somebody = await books.subscribe("http://127.0.0.1:9/")
    with_nul = json.dumps(cloudevent(data=opportunity(title="a\x00b"))).encode()
    with_half = written(data=opportunity()).replace(b"Voorbeeld", b"Voor\\ud800beeld")
    async with marketplace(books.settings) as market:
        await market.emit(cloudevent())
        await market.put(with_nul, headers=STRUCTURED)
        await market.put(with_half, headers=STRUCTURED)
        await market.emit(cloudevent())
    async with planning(books.pool, books.settings):

        async def handled() -> int:
            owed, dead = await books.of_subscription(somebody.id), await letters(books)
            return len(owed) + len(dead)

        await eventually(handled, lambda count: count == 4, what="all four to be owed or dead")
    for letter in await letters(books):
        assert letter.reason
        assert letter.value in (with_nul, with_half)


async def test_a_dead_letter_is_kept_once_per_place_and_content(books: Books) -> None:
    place = {"topic": "t", "partition": 0, "offset": 7}
    async with books.pool.acquire() as connection:
        for value in (b"one", b"one", b"two", None, None):
            record = dead_letters.Unreadable(**place, key=None, value=value, headers=(), reason="why")  # type: ignore[arg-type]
            await dead_letters.add(connection, [record])
        hashes = await connection.fetch("SELECT value_hash FROM dead_letters ORDER BY id")
    assert [row["value_hash"] for row in hashes] == [
        hashlib.sha256(value).digest() for value in (b"one", b"two", b"")
    ]
