"""Imports subscribers and their subscriptions from CSV, all of a file or nothing of it.

Rules:
1. A row is a subscriber and at most one subscription; several rows of one slug are several subscriptions.
   What is said of a subscriber once need not be said again, and must not be contradicted.
2. The same file twice changes nothing the second time: a subscriber is known by its slug, a subscription
   by its subscriber, channel and target.
3. Who unsubscribed stays unsubscribed, whatever a file says.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from services.domain.subscriber import SubscriberIn, SubscriptionIn
from services.runtime.database import Connection, Pool
from services.runtime.vault import Vault
from services.storage import subscribers, subscriptions
from services.subscribers.csv_rows import Row, RowProblem, read_rows
from services.subscribers.subscribing import subscribe
from services.subscribers.transaction import transact

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
            self._ids[row.slug] = await self._subscriber(row.line, row.subscriber)
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

    async def _subscriber(self, line: int, new: SubscriberIn) -> UUID:
        before = self._known.get(new.slug)
        if before is None:
            return await self._new_subscriber(line, new)
        changes = {name: value for name, value in new.given().items() if before[name] != value}
        if changes:
            await subscribers.change(self._connection, new.slug, changes)
        self._counts["changed" if changes else "unchanged"] += 1
        subscriber_id: UUID = before["id"]
        return subscriber_id

    async def _new_subscriber(self, line: int, new: SubscriberIn) -> UUID:
        subscriber_id = await subscribers.add(self._connection, new)
        if subscriber_id is None:
            problem = RowProblem(line, "slug", "was taken by somebody else at this moment; import again")
            raise _RolledBack(Report(problems=(problem,)))
        self._counts["added_subscribers"] += 1
        return subscriber_id

    async def _subscription(self, subscriber: SubscriberIn, wanted: SubscriptionIn) -> None:
        before = self._targets.get((self._ids[subscriber.slug], wanted.channel, wanted.target))
        if before is None or before["ended_reason"] == "ended":
            await self._new_subscription(subscriber, wanted)
        elif before["status"] == "ended":
            self._counts["unsubscribed"] += 1
        elif "filter" in wanted.model_fields_set and wanted.filter.as_json() != before["filter"]:
            await subscriptions.set_filter(self._connection, before["id"], wanted.filter)
            self._counts["changed"] += 1
        else:
            self._counts["unchanged"] += 1

    async def _new_subscription(self, subscriber: SubscriberIn, wanted: SubscriptionIn) -> None:
        added = await subscribe(
            self._connection, self._vault, self._ids[subscriber.slug], wanted, self._language(subscriber)
        )
        self._counts["added_subscriptions"] += 1
        if added.secret is not None:
            self._secrets.append(NewSecret(subscriber.slug, added.id, added.secret))

    def _language(self, subscriber: SubscriberIn) -> str:
        before = self._known.get(subscriber.slug)
        if before is None or "language" in subscriber.model_fields_set:
            return subscriber.language
        return str(before["language"])
