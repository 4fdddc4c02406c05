"""Matching in SQL against the same rules in plain Python, as a reader of the rules would write them."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.domain.event import Event, parse_cloudevent
from services.domain.matching import Filter, facts, parse_filter
from services.runtime.clock import utc_now
from services.runtime.database import Connection, Pool
from services.storage.planning import plan
from tests.rig.samples import cloudevent, filters, opportunities, opportunity

PUSHED = {"opportunity.published", "opportunity.updated", "opportunity.withdrawn"}
WHOLE = ("opportunity.published", "opportunity.updated")
NOTICES = ("opportunity.withdrawn", "opportunity.closed", "opportunity.awarded")
PAST, FUTURE = "2020-01-01T12:00:00+01:00", "2099-01-01T12:00:00+01:00"

#: The pool is a fixture, but every example undoes what it did.
bounded = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

_INSERT_EVENT = """
INSERT INTO events (source, ce_id, type, subject, version, data, content_hash, deadline, accepted_by,
  m_regions, m_cpv, m_themes, m_audience, m_procedure, m_value, m_currency, m_text)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'http', $9, $10, $11, $12, $13, $14, $15, $16) RETURNING id"""

_INSERT_SUBSCRIBER = """
INSERT INTO subscribers (slug, name, kind) VALUES ('een', 'Een', 'incubator') RETURNING id"""

_INSERT_SUBSCRIPTION = """
INSERT INTO subscriptions (subscriber_id, channel, target, destination, filter, f_types, f_regions, f_cpv,
  f_themes, f_audience, f_procedures, f_min_value, f_max_value, f_currency, f_words, status, status_reason,
  ended_at, unsubscribe_hash, unsubscribe_seal)
VALUES ($1, 'email', 'a@b.example', 'b.example', $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,
  $13::text::subscription_status, CASE WHEN $13::text = 'disabled' THEN 'gone' END,
  CASE WHEN $13::text = 'ended' THEN now() END, $14, '')
RETURNING id"""

_TELL = """
UPDATE deliveries SET state = $3::text::delivery_state, attempts = 1,
  lease_until = CASE WHEN $3::text = 'sending' THEN now() + interval '1 minute' END,
  next_attempt_at = CASE WHEN $3::text = 'retrying' THEN now() END,
  settled_at = CASE WHEN $3::text NOT IN ('pending', 'sending', 'retrying', 'unknown') THEN now() END
WHERE event_id = $1 AND subscription_id = $2"""


@dataclass(frozen=True)
class Owed:
    """What a delivery says of itself."""

    state: str
    reason: str | None
    match: dict[str, Any]


def folded(text: str) -> str:
    """Fold the letters that the samples use."""
    return text.casefold().replace("é", "e").replace("ß", "ss")


def met(wanted: Filter, data: dict[str, Any]) -> bool:
    """Rules 1 to 4 of matching."""
    value, money = wanted.value, data.get("estimated_value")
    texts = [text for name in ("title", "summary", "description") for text in data.get(name, {}).values()]
    texts += [data.get("buyer", {}).get("name", ""), *data["themes"]]
    return (
        (not wanted.regions or any(c.startswith(f) for c in data["regions"] for f in wanted.regions))
        and (not wanted.cpv or any(c.startswith(f) for c in data["cpv"] for f in wanted.cpv))
        and (not wanted.themes or any(theme in data["themes"] for theme in wanted.themes))
        and (not wanted.audience or any(name in data["audience"] for name in wanted.audience))
        and (not wanted.procedures or data.get("procedure") in wanted.procedures)
        and (value is None or (money is not None and in_range(value, money)))
        and all(any(word in folded(text) for text in texts) for word in folded(wanted.text).split())
    )


def in_range(wanted: Any, money: dict[str, Any]) -> bool:
    """Tell whether an amount lies between the ends, in the same currency."""
    amount = Decimal(str(money["amount"]))
    above = wanted.min is None or wanted.min <= amount
    below = wanted.max is None or amount <= wanted.max
    return bool(above and below and money["currency"] == wanted.currency)


def criteria(wanted: Filter, event: Event) -> dict[str, Any]:
    """The criteria that were met, as they are to be kept."""
    data, compared = event.data, event.type in WHOLE
    found: dict[str, Any] = {
        "types": [str(event.type)] if wanted.types else [],
        "regions": [f for f in wanted.regions if any(c.startswith(f) for c in data.get("regions", ()))],
        "cpv": [f for f in wanted.cpv if any(c.startswith(f) for c in data.get("cpv", ()))],
        "themes": [theme for theme in wanted.themes if theme in data.get("themes", ())],
        "audience": [name for name in wanted.audience if name in data.get("audience", ())],
        "procedures": [name for name in wanted.procedures if name == data.get("procedure")],
        "text": " ".join(wanted.words) if compared else "",
    }
    if compared and wanted.value is not None:
        ends = {"min": wanted.value.min, "max": wanted.value.max}
        found["value"] = {name: float(end) for name, end in ends.items() if end is not None}
        found["value"]["currency"] = wanted.value.currency
    return {name: value for name, value in found.items() if value}


def expected(
    wanted: Filter, status: str, event: Event, *, told: bool = False, withdrawn: bool = False
) -> Owed | None:
    """What planning is to make of one subscription."""
    if status in ("pending", "ended") or str(event.type) not in (set(wanted.types) or PUSHED):
        return None
    whole = event.type in WHOLE
    fits = whole and met(wanted, event.data)
    if not (fits or told):
        return None
    kept = criteria(wanted, event) if fits or not whole else {"told_before": True}
    if status in ("paused", "disabled"):
        return Owed("suppressed", "paused" if status == "paused" else "gone", kept)
    if whole and withdrawn:
        return Owed("cancelled", "withdrawn", kept)
    if event.deadline is not None and event.deadline <= utc_now():
        return Owed("expired", "deadline", kept)
    return Owed("pending", None, kept)


async def insert_event(connection: Connection, event: Event) -> UUID:
    """Store an event as it is accepted."""
    f = facts(event)
    columns = (f.regions, f.cpv, f.themes, f.audience, f.procedure, f.value, f.currency, f.text)
    first = (event.source, event.id, str(event.type), event.subject, event.version, event.data)
    row = (*first, event.content_hash, event.deadline, *columns)
    return UUID(str(await connection.fetchval(_INSERT_EVENT, *row)))


async def insert_subscription(connection: Connection, owner: UUID, wanted: Filter, status: str) -> UUID:
    """Store a subscription with its filter."""
    value = wanted.value
    ends = (value and value.min, value and value.max, value and value.currency)
    lists = (wanted.types, wanted.regions, wanted.cpv, wanted.themes, wanted.audience, wanted.procedures)
    row = (owner, wanted.as_json(), *lists, *ends, wanted.words, status, uuid4().bytes)
    return UUID(str(await connection.fetchval(_INSERT_SUBSCRIPTION, *row)))


async def owed(connection: Connection, event_id: UUID) -> dict[UUID, Owed]:
    """Read what is owed of an event, by subscription."""
    rows = await connection.fetch(
        "SELECT subscription_id, state::text, reason, match FROM deliveries WHERE event_id = $1", event_id
    )
    return {row["subscription_id"]: Owed(row["state"], row["reason"], row["match"]) for row in rows}


async def subscribe(
    connection: Connection, wishes: Sequence[tuple[dict[str, Any], str]]
) -> list[tuple[UUID, Filter, str]]:
    """Store subscriptions of one subscriber."""
    owner = await connection.fetchval(_INSERT_SUBSCRIBER)
    wanted = [(parse_filter(value), status) for value, status in wishes]
    return [(await insert_subscription(connection, owner, f, status), f, status) for f, status in wanted]


statuses = st.sampled_from(["active", "active", "active", "paused", "disabled", "pending", "ended"])
wishes = st.lists(st.tuples(filters(), statuses), min_size=4, max_size=16)


@bounded
@given(
    data=opportunities(),
    wishes=wishes,
    kind=st.sampled_from(WHOLE),
    deadline=st.sampled_from([None, PAST, FUTURE, FUTURE]),
    withdrawn_version=st.sampled_from([None, None, 1, 2, 3]),
)
async def test_an_event_is_owed_to_whom_the_rules_name(
    pool: Pool,
    data: dict[str, Any],
    wishes: list[tuple[dict[str, Any], str]],
    kind: str,
    deadline: str | None,
    withdrawn_version: int | None,
) -> None:
    changed = {"version": 2, "deadline": deadline}
    whole = {name: value for name, value in (data | changed).items() if value is not None}
    event = parse_cloudevent(cloudevent(type=kind, data=whole))
    async with pool.acquire() as connection:
        undone = connection.transaction()
        await undone.start()
        try:
            if withdrawn_version is not None:
                stop = {"id": event.subject, "version": withdrawn_version}
                notice = cloudevent(type="opportunity.withdrawn", data=stop)
                await insert_event(connection, parse_cloudevent(notice))
            subscriptions = await subscribe(connection, wishes)
            event_id = await insert_event(connection, event)
            count = await plan(connection, [event_id])
            found = await owed(connection, event_id)
            assert await plan(connection, [event_id]) == 0
        finally:
            await undone.rollback()
    withdrawn = withdrawn_version is not None and withdrawn_version >= 2
    judged = {key: expected(f, status, event, withdrawn=withdrawn) for key, f, status in subscriptions}
    assert found == {key: what for key, what in judged.items() if what is not None}
    assert count == len(found)


told_states = st.sampled_from(
    ["sent", "sending", "unknown", "pending", "retrying", "failed", "suppressed", "expired", "cancelled"]
)


@bounded
@given(
    kind=st.sampled_from(NOTICES),
    wishes=st.lists(st.tuples(filters(), statuses, told_states | st.none()), min_size=1, max_size=12),
    deadline=st.sampled_from([None, PAST, FUTURE]),
)
async def test_a_notice_goes_to_those_who_were_told_whatever_their_filter(
    pool: Pool, kind: str, wishes: list[tuple[dict[str, Any], str, str | None]], deadline: str | None
) -> None:
    published = parse_cloudevent(cloudevent(data=opportunity(deadline=deadline)))
    stop = {"id": published.subject, "version": 1} | ({"deadline": deadline} if deadline else {})
    notice = parse_cloudevent(cloudevent(type=kind, data=stop))
    async with pool.acquire() as connection:
        undone = connection.transaction()
        await undone.start()
        try:
            subscriptions = await subscribe(connection, [(value, status) for value, status, _ in wishes])
            first = await insert_event(connection, published)
            for (key, _, _), (_, _, state) in zip(subscriptions, wishes, strict=True):
                if state is not None:
                    await insert_told(connection, first, key, state)
            event_id = await insert_event(connection, notice)
            await plan(connection, [event_id])
            found = await owed(connection, event_id)
        finally:
            await undone.rollback()
    told = [state in ("sent", "sending", "unknown") for _, _, state in wishes]
    judged = {
        key: expected(f, status, notice, told=was)
        for (key, f, status), was in zip(subscriptions, told, strict=True)
    }
    assert found == {key: what for key, what in judged.items() if what is not None}


@bounded
@given(
    wishes=st.lists(st.tuples(filters(), statuses, told_states | st.none()), min_size=1, max_size=12),
    data=opportunities(),
    numbered=st.booleans(),
)
async def test_a_changed_opportunity_goes_to_whom_it_fits_and_to_those_who_were_told(
    pool: Pool,
    wishes: list[tuple[dict[str, Any], str, str | None]],
    data: dict[str, Any],
    numbered: bool,
) -> None:
    published = parse_cloudevent(cloudevent(data=data))
    changed = parse_cloudevent(
        cloudevent(type="opportunity.updated", data=data | {"version": 2 if numbered else 1})
    )
    async with pool.acquire() as connection:
        undone = connection.transaction()
        await undone.start()
        try:
            subscriptions = await subscribe(connection, [(value, status) for value, status, _ in wishes])
            first = await insert_event(connection, published)
            for (key, _, _), (_, _, state) in zip(subscriptions, wishes, strict=True):
                if state is not None:
                    await insert_told(connection, first, key, state)
            event_id = await insert_event(connection, changed)
            await plan(connection, [event_id])
            found, older = await owed(connection, event_id), await owed(connection, first)
        finally:
            await undone.rollback()
    told = {
        key: state in ("sent", "sending", "unknown")
        for (key, _, _), (_, _, state) in zip(subscriptions, wishes, strict=True)
    }
    judged = {key: expected(f, status, changed, told=told[key]) for key, f, status in subscriptions}
    assert found == {key: what for key, what in judged.items() if what is not None}
    for (key, _, _), (_, _, state) in zip(subscriptions, wishes, strict=True):
        waits = state in ("pending", "retrying")
        moved = waits and key in found and found[key].state == "pending"
        if state is not None:
            assert older[key].state == ("cancelled" if moved else state)


async def insert_told(connection: Connection, event_id: UUID, subscription_id: UUID, state: str) -> None:
    """Store a delivery of an event in a state."""
    await connection.execute(
        "INSERT INTO deliveries (event_id, subscription_id, subscriber_id, channel, destination, match, turn)"
        " SELECT $1, id, subscriber_id, channel, destination, '{}', now() FROM subscriptions WHERE id = $2",
        event_id,
        subscription_id,
    )
    await connection.execute(_TELL, event_id, subscription_id, state)
