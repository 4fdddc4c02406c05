"""Digests made and sent by two dispatchers while opportunities are withdrawn and readers leave.

Whatever happened first: what the ledger calls sent is what stands in the mails, no more and no less.
"""

import asyncio
import random
import re
from collections import Counter
from datetime import timedelta
from typing import Any

from services.dispatcher.mailings import make_due
from services.runtime.clock import utc_now
from services.runtime.database import UNAVAILABLE, Pool
from tests.integration.mailing import Post, post_office, text_of
from tests.integration.owing import Subscribed, eventually, running
from tests.rig.samples import opportunity

_READERS, _EVENTS = 6, 24
_STANDS = """
SELECT lower(s.target) AS address, e.data #>> '{title,nl}' AS title, d.state::text AS state, e.type
FROM deliveries d JOIN events e ON e.id = d.event_id JOIN subscriptions s ON s.id = d.subscription_id"""

#: Who was sent what was withdrawn, is still there, and was not told of that.
_UNTOLD = """SELECT count(*) FROM deliveries d
JOIN events e ON e.id = d.event_id JOIN events w ON w.subject = e.subject AND w.type = 'opportunity.withdrawn'
JOIN subscriptions s ON s.id = d.subscription_id AND s.status = 'active'
WHERE d.state = 'sent' AND e.type = 'opportunity.published' AND NOT EXISTS (
  SELECT FROM deliveries n WHERE n.event_id = w.id AND n.subscription_id = s.id)"""
_LEFT = """SELECT count(*) FROM deliveries WHERE state IN ('pending', 'retrying', 'sending')
AND (gather_until IS NULL OR gather_until <= now())"""


async def again_on_deadlock(act: Any) -> None:
    """Do as the services do: another transaction may stand in the way."""
    while True:
        try:
            await act()
        except UNAVAILABLE:
            continue
        return


async def make_all(pool: Pool, stop: asyncio.Event) -> None:
    """Make what is due, again and again."""
    while not stop.is_set():
        await again_on_deadlock(lambda: make_due(pool, utc_now()))
        await asyncio.sleep(0.01)


async def publish(post: Post, seed: random.Random, readers: list[Subscribed]) -> None:
    """Publish opportunities, due at once; withdraw some of them, and have some readers leave."""
    start = utc_now() - timedelta(days=100)
    for n in range(_EVENTS):
        data, when = opportunity(title=f"Nummer-{n}-"), start + timedelta(days=3 * n)
        await again_on_deadlock(lambda data=data, when=when: post.books.plan(at=when, data=data))
        await asyncio.sleep(seed.random() / 20)
        if seed.random() < 0.5:
            gone = {"id": data["id"]}
            await again_on_deadlock(
                lambda gone=gone, when=when: post.books.plan(at=when, type="opportunity.withdrawn", data=gone)
            )
        if seed.random() < 0.2:
            leaves = seed.choice(readers)
            await again_on_deadlock(lambda leaves=leaves: post.end(leaves))


async def test_the_ledger_says_what_the_mails_say(pool: Pool, database_url: str) -> None:
    seed = random.Random(7)
    async with post_office(pool, database_url, email_schedule="0.1s 0.1s 0.1s 0.1s 0.1s 0.1s") as post:
        post.relay.answer = lambda envelope: "450 4.2.0 Later" if seed.random() < 0.3 else "250 OK"
        readers = []
        for n in range(_READERS):
            one = await post.somebody(target=f"a{n}@incubator.example")
            readers += [one, await post.somebody(beside=one, target=f"a{n}@incubator.example")]
        async with (
            running(lambda stop: make_all(pool, stop)),
            running(lambda stop: make_all(pool, stop)),
            post.sending(),
            post.sending(),
        ):
            await publish(post, seed, readers)
            await eventually(lambda: pool.fetchval(_LEFT), lambda n: n == 0, what="nothing to be left")
        rows = await pool.fetch(_STANDS)
        mails = list(post.relay.mails)
    told = {(r["address"], r["title"]) for r in rows if r["state"] == "sent" and "published" in r["type"]}
    shown = Counter(
        (mail.recipients[0], title)
        for mail in mails
        for title in re.findall(r"Nieuwe opdracht (Nummer-\d+-)", text_of(mail))
    )
    assert told == set(shown)
    assert set(shown.values()) == {1}
    assert await pool.fetchval(_UNTOLD) == 0
    ids = [mail.message["Message-ID"] for mail in mails]
    assert len(ids) == len(set(ids))
    assert {r["state"] for r in rows} <= {"sent", "cancelled", "failed", "pending"}
