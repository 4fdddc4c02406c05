"""A subscriber's feeds take what the planner would send: the two say the same of every filter."""

from typing import Any

from hypothesis import HealthCheck, given, settings

from services.domain.event import parse_cloudevent
from services.domain.matching import parse_filter
from services.domain.subscriber import parse_subscriber
from services.runtime.database import Connection, Pool
from services.runtime.vault import token_hash
from services.storage import events, feeds, planning, subscribers, subscriptions
from services.storage.subscriptions import NewSubscription
from tests.rig.samples import cloudevent, filters, opportunities

#: The pool is a fixture, but every example undoes what it did.
bounded = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class _Undone(Exception):
    pass


@bounded
@given(data=opportunities(), wanted=filters())
async def test_a_feed_takes_an_event_when_the_planner_does(
    pool: Pool, data: dict[str, Any], wanted: dict[str, Any]
) -> None:
    async with pool.acquire() as connection:
        try:
            async with connection.transaction():
                sent, read = await _both(connection, data, wanted)
                raise _Undone
        except _Undone:
            assert read == sent


async def _both(
    connection: Connection, data: dict[str, Any], wanted: dict[str, Any]
) -> tuple[list[bool], list[bool]]:
    """Tell whether it is owed, and whether it is in the list and in the stream of the subscriber."""
    subscriber = await subscribers.add(
        connection, parse_subscriber({"slug": "een", "name": "Een", "kind": "incubator"})
    )
    assert subscriber is not None
    new = NewSubscription(
        subscriber_id=subscriber,
        channel="email",
        target="a@b.example",
        filter=parse_filter(wanted),
        language="nl",
        token_hash=token_hash("token"),
        token_seal=b"",
    )
    await subscriptions.add(connection, new)
    accepted = await events.accept(
        connection, [parse_cloudevent(cloudevent(data=data))], accepted_by="http", relay=False
    )
    owed = await planning.plan(connection, [accepted[0].id])
    await feeds.append_new(connection)
    listed = await feeds.newest(connection, subscriber, before=None, limit=10)
    members = await feeds.members(connection, subscriber, 1, 10)
    return [owed == 1] * 2, [len(listed) == 1, len(members) == 1]
