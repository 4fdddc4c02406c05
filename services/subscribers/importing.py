"""Imports subscribers and their subscriptions from CSV, all of a file or nothing of it.

Rules:
1. A row is a subscriber and at most one subscription; several rows of one slug are several subscriptions.
   What is said of a subscriber once need not be said again, and must not be contradicted.
2. The same file twice changes nothing the second time: a subscriber is known by its slug, a subscription
   by its subscriber, channel and target.
3. Who unsubscribed stays unsubscribed, whatever a file says; also when all else about them was erased.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from services.domain.subscriber import SubscriberIn, SubscriptionIn
from services.runtime.database import Connection, Pool
from services.runtime.vault import Vault
from services.storage import people, subscribers, subscriptions
from services.storage.confirmations import UNANSWERED
from services.storage.left_alone import LeaveAlone
from services.subscribers.csv_rows import Row, RowProblem, read_rows
from services.subscribers.subscribing import subscribe
from services.subscribers.transaction import transact

#: Why a subscription ended that a file may bring back: an operator ended it, or its owner was never heard of.
_MAY_RETURN = frozenset({"ended", UNANSWERED})
_Setter = Callable[[Connection, UUID, Any], Awaitable[None]]

__all__ = ["NewSecret", "Report", "Row", "RowProblem", "import_rows", "read_rows"]


@dataclass(frozen=True, slots=True)
class NewSecret:
    """What the receiver of a new webhook must know, told this once."""

    slug: str
    subscription_id: UUID
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Report:
    """What an import came to, or would come to; with problems, nothing was changed.

    `changed` and `unchanged` count subscribers and subscriptions. `unsubscribed` counts the
    subscriptions left ended, because it was not an operator who ended them.
    """

    added_subscribers: int = 0
    added_subscriptions: int = 0
    changed: int = 0
    unchanged: int = 0
    unsubscribed: int = 0
    problems: tuple[RowProblem, ...] = ()
    secrets: tuple[NewSecret, ...] = field(default=(), repr=False)


async def import_rows(pool: Pool, vault: Vault, rows: Sequence[Row], *, dry_run: bool = False) -> Report:
    """Import all rows, or none if there is a problem. Idempotent; a dry run changes nothing."""
    if unreadable := tuple(problem for row in rows for problem in row.problems):
        return Report(problems=unreadable)
    try:
        return await transact(pool, lambda connection: _import(connection, vault, rows, dry_run=dry_run))
    except _RolledBack as stop:
        return stop.report


class _RolledBack(Exception):
    """Carries a report out of a transaction whose changes must not stay."""

    def __init__(self, report: Report) -> None:
        super().__init__("import rolled back")
        self.report = report


async def _import(connection: Connection, vault: Vault, rows: Sequence[Row], *, dry_run: bool) -> Report:
    await subscribers.import_turn(connection)
    known = await subscribers.known(connection, list({row.slug for row in rows}))
    if ended := [row for row in rows if row.slug in known and known[row.slug]["ended_at"]]:
        raise _RolledBack(Report(problems=tuple(_has_ended(row) for row in ended)))
    work = _Import(connection, vault, known)
    await work.load_targets()
    for row in rows:
        await work.take(row)
    report = work.report()
    if dry_run:
        raise _RolledBack(replace(report, secrets=()))
    return report


def _has_ended(row: Row) -> RowProblem:
    return RowProblem(
        row.line, "slug", f"{row.slug!r} is of a subscriber that has ended; choose another slug"
    )


class _Import:
    """One import under way, in one transaction."""

    def __init__(self, connection: Connection, vault: Vault, known: Mapping[str, Any]) -> None:
        self._connection, self._vault = connection, vault
        self._known = known
        self._ids: dict[str, UUID] = {}
        self._targets: dict[tuple[UUID, str, str], Any] = {}
        self._counts: Counter[str] = Counter()
        self._secrets: list[NewSecret] = []

    async def load_targets(self) -> None:
        """Read at once where the known subscribers are told."""
        rows = await subscriptions.targets(self._connection, [row["id"] for row in self._known.values()])
        self._targets = {(row["subscriber_id"], row["channel"], row["target"]): row for row in rows}

    async def take(self, row: Row) -> None:
        """Add or change what a row says."""
        if row.subscriber is None:
            return
        if row.slug not in self._ids:
            self._ids[row.slug] = await self._subscriber(row, row.subscriber)
        if row.subscription is not None:
            await self._subscription(row.subscriber, row.subscription)

    def report(self) -> Report:
        """Tell what it came to."""
        counts = self._counts
        return Report(
            added_subscribers=counts["added_subscribers"],
            added_subscriptions=counts["added_subscriptions"],
            changed=counts["changed"],
            unchanged=counts["unchanged"],
            unsubscribed=counts["unsubscribed"],
            secrets=tuple(self._secrets),
        )

    async def _subscriber(self, row: Row, new: SubscriberIn) -> UUID:
        before = self._known.get(row.slug)
        if before is None:
            subscriber_id = await self._new_subscriber(row.line, new)
            await self._people(subscriber_id, row)
            return subscriber_id
        known_id: UUID = before["id"]
        changes = {name: value for name, value in new.given().items() if before[name] != value}
        if changes:
            await subscribers.change(self._connection, new.slug, changes)
        more = await self._people(known_id, row)
        self._counts["changed" if changes or more else "unchanged"] += 1
        return known_id

    async def _people(self, subscriber_id: UUID, row: Row) -> bool:
        """Add the people of a row who are new; tell whether there are any."""
        added = [
            await people.add(self._connection, subscriber_id, person.name, person.email, person.language)
            for person in row.people
        ]
        return any(added)

    async def _new_subscriber(self, line: int, new: SubscriberIn) -> UUID:
        subscriber_id = await subscribers.add(self._connection, new)
        if subscriber_id is None:
            problem = RowProblem(line, "slug", "was taken by somebody else at this moment; import again")
            raise _RolledBack(Report(problems=(problem,)))
        self._counts["added_subscribers"] += 1
        return subscriber_id

    async def _subscription(self, subscriber: SubscriberIn, wanted: SubscriptionIn) -> None:
        before = self._targets.get((self._ids[subscriber.slug], wanted.channel, wanted.target))
        if before is None or before["ended_reason"] in _MAY_RETURN:
            await self._new_subscription(subscriber, wanted)
        elif before["status"] == "ended":
            self._counts["unsubscribed"] += 1
        else:
            changed = await self._change(before, wanted)
            self._counts["changed" if changed else "unchanged"] += 1

    async def _change(self, before: Any, wanted: SubscriptionIn) -> bool:
        """Change what a row says otherwise about a subscription; tell whether it does."""
        quiet = wanted.quiet_hours.times if wanted.quiet_hours else None
        setters: dict[str, tuple[_Setter, Any, Any]] = {
            "filter": (subscriptions.set_filter, wanted.filter, wanted.filter.as_json() == before["filter"]),
            "cadence": (subscriptions.set_cadence, wanted.cadence, wanted.cadence == before["cadence"]),
            "quiet_hours": (
                subscriptions.set_quiet_hours,
                quiet,
                (quiet or (None, None)) == (before["quiet_from"], before["quiet_until"]),
            ),
            "reminders": (
                subscriptions.set_reminders,
                wanted.reminders,
                wanted.reminders == before["reminders"],
            ),
            "language": (subscriptions.set_language, wanted.language, wanted.language == before["language"]),
        }
        changed = False
        for name in setters.keys() & wanted.model_fields_set:
            change, value, same = setters[name]
            if not same:
                await change(self._connection, before["id"], value)
                changed = True
        return changed

    async def _new_subscription(self, subscriber: SubscriberIn, wanted: SubscriptionIn) -> None:
        subscriber_id, language = self._ids[subscriber.slug], self._language(subscriber)
        try:
            added = await subscribe(self._connection, self._vault, subscriber_id, wanted, language)
        except LeaveAlone:
            self._counts["unsubscribed"] += 1
            return
        self._counts["added_subscriptions"] += 1
        if added.secret is not None:
            self._secrets.append(NewSecret(subscriber.slug, added.id, added.secret))

    def _language(self, subscriber: SubscriberIn) -> str:
        before = self._known.get(subscriber.slug)
        if before is None or "language" in subscriber.model_fields_set:
            return subscriber.language
        return str(before["language"])
