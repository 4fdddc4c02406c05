"""Incubators for the portal to show: one to whom everything has happened, and one to whom nothing has."""

import json
from datetime import time, timedelta
from typing import Any
from uuid import UUID

from services.domain.matching import parse_filter
from services.domain.subscriber import parse_subscriber
from services.runtime.clock import utc_now
from services.runtime.vault import new_token, token_hash
from services.storage import people, subscribers, subscriptions
from services.storage.subscriptions import NewSubscription
from tests.browser.opportunities import FULL
from tests.integration.portal_visits import House, Town, Visitor
from tests.rig.samples import opportunity

NAME = "Startersfabriek <b>Kust & Zee</b>, incubator voor ondernemers in de blauwe economie van morgen"
#: As wide as an address can be without a place to break it.
LONG_ADDRESS = f"{'opdrachten-en-oproepen' * 2}@{'de-incubator-van-de-stad' * 2}.example"
#: Every state of a delivery, with what goes with it in its row; in SQL, for some are moments.
STATES = (
    ("sent", "attempts = 1, settled_at = now()"),
    ("failed", "attempts = 3, settled_at = now(), reason = 'http_500'"),
    ("retrying", "attempts = 2, next_attempt_at = now() + interval '1 hour', reason = 'timeout'"),
    ("pending", "attempts = 0"),
    ("sending", "attempts = 1, lease_until = now() + interval '1 hour'"),
    ("unknown", "attempts = 1, reason = 'lease_expired'"),
    ("suppressed", "settled_at = now(), reason = 'paused'"),
    ("expired", "settled_at = now()"),
    ("cancelled", "settled_at = now(), reason = 'withdrawn'"),
)
TITLES: tuple[Any, ...] = (
    FULL["title"],
    {"nl": "<script>throw 1</script> Sensoren & <b>kaaimuren</b>"},
    {"nl": "Rioolwaterzuiveringsinstallatiebeheersingssysteemvernieuwingsprogramma"},
    {"fr": "Des capteurs pour les murs de quai"},
)
_FILTER = {
    "types": ["opportunity.published", "opportunity.updated", "opportunity.withdrawn"],
    "regions": ["BE21", "BE25"],
    "themes": ["mobiliteit", "slimme stad", "water", "<i>zorg</i> van morgen"],
    "audience": ["start-up"],
    "value": {"min": 50_000, "max": 500_000},
    "cpv": ["72", "731"],
}


async def full_house(here: Town, language: str) -> tuple[House, dict[str, str]]:
    """Add an incubator to which everything has happened; give it, and the names of what its pages show."""
    house = await here.house(NAME, language=language)
    ours = {"themes": [f"huis {language}"]}
    await _want(here, ours, house.email, house.webhook)
    for number in range(len(STATES)):
        await here.books.plan(
            data=opportunity(
                title=TITLES[number % len(TITLES)], buyer={"name": "Stad <i>Voorbeeld</i>"}, **ours
            )
        )
    names = {
        "webhook": str(house.webhook),
        "subscription": str(house.email),
        "link": house.link,
        **await _settled(here, house),
        **await _more_subscriptions(here, house, language),
        **await _probes(here, house.webhook),
    }
    await _want(here, _FILTER, house.email)
    async with here.pool.acquire() as connection, connection.transaction():
        await subscriptions.set_quiet_hours(connection, house.email, (time(20), time(7, 30)))
        person = await people.add(connection, house.id, "Els <b>Peeters</b>", f"els-{language}@huis.example")
        await people.add(connection, house.id, "Jan-Baptist " * 8, f"{language}-{LONG_ADDRESS}")
    return house, {**names, "person": str(person)}


async def _want(here: Town, wanted: dict[str, Any], *subscription_ids: UUID) -> None:
    async with here.pool.acquire() as connection:
        for subscription_id in subscription_ids:
            await subscriptions.set_filter(connection, subscription_id, parse_filter(wanted))


async def empty_house(here: Town, language: str) -> str:
    """Add an incubator to which nothing has happened; give the address that signs in."""
    contact = f"leeg-{language}@huis.example"
    given = {
        "slug": f"leeg-{language}",
        "name": "Leeg",
        "kind": "other",
        "contact": contact,
        "language": language,
    }
    async with here.pool.acquire() as connection:
        await subscribers.add(connection, parse_subscriber(given))
    return contact


async def of_two_houses(here: Town, first: House, language: str) -> str:
    """Let somebody sign in for two houses; give the address."""
    second, email = await here.house("Tweede huis", language=language), f"beide-{language}@huis.example"
    async with here.pool.acquire() as connection:
        for house in (first, second):
            await people.add(connection, house.id, "Kaat", email)
    return email


async def of_no_house(here: Town, house: House, language: str) -> Visitor:
    """Sign somebody in who may no longer."""
    email = f"weg-{language}@huis.example"
    async with here.pool.acquire() as connection:
        person = await people.add(connection, house.id, "Weg", email)
    assert person is not None
    visitor = await here.signed_in(house, email)
    async with here.pool.acquire() as connection:
        await people.remove(connection, house.id, person)
    return visitor


async def confirmations(here: Town, visitor: Visitor, language: str) -> dict[str, str]:
    """Ask mailboxes to confirm; name the tokens of one who did not answer, and of those who did."""
    tokens: dict[str, str] = {}
    for said in ("fresh", "yes", "no", "stale"):
        address = f"{said}-{language}@partner.example"
        page = await visitor.fill("/portal/subscriptions/new/email", {"target": address})
        assert page.to.endswith("?done=added"), page.words
        token = tokens[f"confirm_{said}"] = (await here.letters())[-1]["shown"]["token"]
        if said in ("yes", "no"):
            answer = await here.visitor().post(f"/confirm/{token}", {"answer": said}, token="")
            assert answer.status == 200
    await here.pool.execute("UPDATE confirmations SET expires_at = now() WHERE token_hash = $1",
                            token_hash(tokens["confirm_stale"]))  # fmt: skip
    return tokens


async def _settled(here: Town, house: House) -> dict[str, str]:
    """Bring the house's deliveries into each state, by both ways; name some."""
    rows = await here.pool.fetch(
        "SELECT id, channel FROM deliveries WHERE subscriber_id = $1 ORDER BY event_id", house.id
    )
    names: dict[str, str] = {}
    for channel, turned in (("webhook", 0), ("email", 4)):
        mine = [row["id"] for row in rows if row["channel"] == channel]
        for number, delivery in enumerate(mine):
            state, more = STATES[(number + turned) % len(STATES)]
            await here.pool.execute(
                f"UPDATE deliveries SET state = '{state}', {more} WHERE id = $1", delivery
            )
            names[f"{channel}_{state}"] = str(delivery)
    for state in ("sent", "failed", "retrying"):
        await _attempts(here, UUID(names[f"webhook_{state}"]), state)
    await here.pool.execute(
        "INSERT INTO receipts (delivery_id, kind) VALUES ($1, 'hard')", UUID(names["email_sent"])
    )
    return {**names, "delivery": names["webhook_failed"]}


async def _attempts(here: Town, delivery: UUID, state: str) -> None:
    outcomes: list[tuple[str, int | None, str | None]] = [
        ("temporary", 503, "http_503"),
        ("temporary", None, "timeout"),
    ]
    outcomes += [("sent", 200, None)] if state == "sent" else []
    answer = "<html><h1>Service & <b>unavailable</b></h1>" + "x" * 300
    for number, (outcome, code, error) in enumerate(outcomes, 1):
        await here.pool.execute(
            "INSERT INTO attempts "
            "(delivery_id, number, started_at, duration_ms, outcome, code, error, excerpt) "
            "VALUES ($1, $2, now(), 1234, $3, $4, $5, $6)",
            delivery, number, outcome, code, error, answer if code else None,
        )  # fmt: skip


async def _more_subscriptions(here: Town, house: House, language: str) -> dict[str, str]:
    """Add a subscription in each other standing; name those, and the link of one that has stopped."""
    wanted = (
        ("paused", "email", "status = 'paused'"),
        ("bounced", "email", "status = 'disabled', status_reason = 'bounced'"),
        ("complained", "email", "status = 'disabled', status_reason = 'complained'"),
        ("dead", "webhook", "status = 'disabled', status_reason = 'dead'"),
        ("unproven", "webhook", "status = 'pending', status_reason = 'http_404'"),
        ("stopped", "email", "status = 'ended', ended_at = now(), ended_reason = 'unsubscribed'"),
    )
    names: dict[str, str] = {}
    for standing, channel, change in wanted:
        target = f"{standing}-{LONG_ADDRESS}" if channel == "email" else f"https://hooks.{standing}.example/"
        token = names[f"link_{standing}"] = new_token()
        new = NewSubscription(
            house.id,
            channel,
            target,
            parse_filter({"themes": ["geen"]}),
            language,
            token_hash(token),
            here.vault.seal(token),
        )
        async with here.pool.acquire() as connection:
            added = await subscriptions.add(connection, new)
        await here.pool.execute(f"UPDATE subscriptions SET {change} WHERE id = $1", added)
        names[standing] = str(added)
    return names


async def _probes(here: Town, webhook: UUID) -> dict[str, str]:
    """Have a webhook tested: once with success, once without, and once without an answer yet."""
    request = f"POST https://hooks.example/in\n\n{json.dumps({'type': 'webhook.test', 'data': FULL})}"
    answers = {
        "probe": (True, 200, None, "<b>received</b> " * 40),
        "probe_failed": (False, None, "certificate", None),
        "probe_waiting": None,
    }
    names: dict[str, str] = {}
    for name, given in answers.items():
        probe = await here.pool.fetchval(
            "INSERT INTO probes (subscription_id, kind, due_at) VALUES ($1, 'test', $2) RETURNING id",
            webhook, utc_now() + timedelta(hours=1),
        )  # fmt: skip
        if given:
            await here.pool.execute(
                "UPDATE probes SET due_at = NULL, done_at = now(), duration_ms = 87, ok = $2, "
                "code = $3, error = $4, request = $5, answer = $6 WHERE id = $1",
                probe, given[0], given[1], given[2], request, given[3],
            )  # fmt: skip
        names[name] = str(probe)
    return names
