"""The schema refuses what the code must not do, and comes about the same however it is applied."""

import asyncio
from collections.abc import AsyncIterator, Callable
from uuid import UUID, uuid4

import asyncpg
import pytest

from services.domain.delivery import FINAL, TRANSITIONS, State
from services.runtime.database import Pool
from services.storage.migrate import SchemaTooOld, available, check, migrate
from tests.integration.owing import Books, settings_for
from tests.rig.postgres import named
from tests.rig.process import Process

NOWHERE = "http://127.0.0.1:9/"
BECOME = """UPDATE deliveries SET state = $2::text::delivery_state, attempts = greatest(attempts, 1),
  lease_until = CASE WHEN $2::text = 'sending' THEN now() END,
  next_attempt_at = CASE WHEN $2::text = 'retrying' THEN now() END,
  settled_at = CASE WHEN $2::text = ANY ($3::text[]) THEN now() END
WHERE id = $1"""


@pytest.fixture
def books(pool: Pool, database_url: str) -> Books:
    """Books of this test's database."""
    return Books(pool, settings_for(database_url))


async def become(pool: Pool, delivery: UUID, state: State) -> None:
    """Have a delivery be in a state, with all that belongs to it."""
    await pool.execute(BECOME, delivery, str(state), [str(final) for final in FINAL])


@pytest.mark.parametrize("final", sorted(FINAL))
async def test_a_final_state_never_changes(books: Books, final: State) -> None:
    delivery = await books.owe(NOWHERE)
    await become(books.pool, delivery, final)
    before = await books.delivery(delivery)
    for other in set(State) - {final}:
        with pytest.raises(asyncpg.CheckViolationError, match="never changes"):
            await become(books.pool, delivery, other)
    assert await books.delivery(delivery) == before


async def test_every_state_that_is_not_final_can_be_left(books: Books) -> None:
    for before, afters in TRANSITIONS.items():
        for after in afters:
            delivery = await books.owe(NOWHERE)
            await become(books.pool, delivery, before)
            await become(books.pool, delivery, after)
            assert (await books.delivery(delivery))["state"] == after


async def test_the_states_of_the_schema_are_those_of_the_rules(pool: Pool) -> None:
    rows = await pool.fetch("SELECT unnest(enum_range(NULL::delivery_state))::text AS state")
    assert {row["state"] for row in rows} == set(State)


NONSENSE = {
    "sending without a lease": "UPDATE deliveries SET state = 'sending'",
    "a lease without sending": "UPDATE deliveries SET lease_until = now()",
    "retrying without a time": "UPDATE deliveries SET state = 'retrying'",
    "a time without retrying": "UPDATE deliveries SET next_attempt_at = now()",
    "final without a time": "UPDATE deliveries SET state = 'failed'",
    "settled but owed": "UPDATE deliveries SET settled_at = now()",
    "sent without a try": "UPDATE deliveries SET state = 'sent', settled_at = now()",
    "fewer than no attempts": "UPDATE deliveries SET attempts = -1",
    "a replay of nothing": "UPDATE deliveries SET replay = 1",
    "ended without a time": "UPDATE subscriptions SET status = 'ended'",
    "a time without an end": "UPDATE subscriptions SET ended_at = now()",
    "disabled without a reason": "UPDATE subscriptions SET status = 'disabled'",
    "an unknown cadence": "UPDATE subscriptions SET cadence = 'hourly'",
    "a target that is empty": "UPDATE subscriptions SET target = ''",
    "a slug that is none": "UPDATE subscribers SET slug = 'Not a slug'",
    "an unknown kind": "UPDATE subscribers SET kind = 'bank'",
    "an event without identity": "UPDATE events SET ce_id = ''",
    "a version below one": "UPDATE events SET version = 0",
    "no failures": "INSERT INTO endpoint_health SELECT id, 0, now() FROM subscriptions",
    "an unknown outcome": "INSERT INTO attempts (delivery_id, number, started_at, duration_ms, outcome)"
    " SELECT id, 1, now(), 1, 'fine' FROM deliveries",
    "a try before the first": "INSERT INTO attempts (delivery_id, number, started_at, duration_ms, outcome)"
    " SELECT id, 0, now(), 1, 'sent' FROM deliveries",
    "an excerpt too long": "INSERT INTO attempts"
    " (delivery_id, number, started_at, duration_ms, outcome, excerpt)"
    " SELECT id, 1, now(), 1, 'sent', repeat('é', 4097) FROM deliveries",
    "neither an event nor a mailing": "UPDATE deliveries SET event_id = NULL",
    "a mailing without waiting for it": "WITH m AS ("
    "INSERT INTO mailings (subscriber_id, address, kind, period)"
    " SELECT id, 'x', 'digest_daily', now() FROM subscribers RETURNING id)"
    " UPDATE deliveries SET mailing_id = m.id FROM m",
    "gathered and trying": "UPDATE deliveries"
    " SET state = 'retrying', next_attempt_at = now(), gather_until = now()",
    "an unknown mailing": "INSERT INTO mailings (subscriber_id, address, kind, period)"
    " SELECT id, 'x', 'monthly', now() FROM subscribers",
    "an opportunity that cannot be matched": "INSERT INTO feed_opportunities (subject, source, types, m_text)"
    " VALUES ('a', 'b', '{}', '')",
    "a key for nothing": "INSERT INTO api_keys (name, hash, scopes) VALUES ('n', 'x', '{}')",
}


@pytest.mark.parametrize("statement", NONSENSE.values(), ids=NONSENSE.keys())
async def test_the_schema_refuses_nonsense(books: Books, statement: str) -> None:
    await books.owe(NOWHERE)
    with pytest.raises(asyncpg.CheckViolationError):
        await books.pool.execute(statement)


@pytest.mark.parametrize("outcome", ["sent", "temporary", "permanent", "unknown", "interrupted"])
async def test_every_outcome_of_the_rules_has_a_place(books: Books, outcome: str) -> None:
    delivery = await books.owe(NOWHERE)
    statement = """INSERT INTO attempts (delivery_id, number, started_at, duration_ms, outcome, excerpt)
        VALUES ($1, 1, now(), 0, $2, repeat('é', 4096))"""
    await books.pool.execute(statement, delivery, outcome)


async def test_an_event_is_owed_once_to_a_subscription(books: Books) -> None:
    delivery = await books.owe(NOWHERE)
    columns = "event_id, subscription_id, subscriber_id, channel, destination, match, turn"
    with pytest.raises(asyncpg.UniqueViolationError):
        await books.pool.execute(
            f"INSERT INTO deliveries ({columns}) SELECT {columns} FROM deliveries WHERE id = $1", delivery
        )


async def test_ids_are_version_7_and_in_the_order_of_time(pool: Pool) -> None:
    rows = [(await pool.fetchrow("SELECT uuid7() AS id, pg_sleep(0.002)"))["id"] for _ in range(5)]  # type: ignore[index]
    assert [UUID(str(row)).version for row in rows] == [7] * 5
    assert {UUID(str(row)).variant for row in rows} == {"specified in RFC 4122"}
    assert rows == sorted(rows)


@pytest.fixture
async def empty(database_url: str) -> AsyncIterator[str]:
    """A database without a schema, beside this test's own."""
    name = f"empty_{uuid4().hex}"
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
        yield named(database_url, name)
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()


async def test_migrating_at_once_and_again_applies_everything_once(empty: str) -> None:
    names = [path.stem for _, path in available()]
    answers = await asyncio.gather(*(migrate(empty) for _ in range(4)))
    assert sorted(answers, key=len) == [[], [], [], names]
    assert await migrate(empty) == []


async def test_a_database_without_the_schema_is_too_old(empty: str) -> None:
    connection = await asyncpg.connect(empty)
    try:
        with pytest.raises(SchemaTooOld):
            await check(connection)
        await migrate(empty)
        await check(connection)
        await connection.execute("DELETE FROM migrations WHERE number = (SELECT max(number) FROM migrations)")
        with pytest.raises(SchemaTooOld):
            await check(connection)
    finally:
        await connection.close()


def test_migrations_are_numbered_without_gaps() -> None:
    assert [number for number, _ in available()] == list(range(1, len(available()) + 1))


async def test_the_command_line_migrates_and_says_what_it_did(
    empty: str, omroeper: Callable[..., Process]
) -> None:
    first = omroeper("migrate", OMROEPER_DATABASE_URL=empty)
    assert first.wait(seconds=60) == 0, first.output
    assert [line for line in first.output.splitlines() if line.startswith("applied")] == [
        f"applied  {path.stem}" for _, path in available()
    ]
    second = omroeper("migrate", OMROEPER_DATABASE_URL=empty)
    assert second.wait(seconds=60) == 0, second.output
    assert "nothing to do" in second.output
