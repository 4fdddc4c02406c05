"""`/v1/subscribers`: who is told, and by which subscriptions."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from services.domain.subscriber import (
    Kind,
    SubscriberIn,
    SubscriberPatch,
    SubscriptionIn,
    is_slug,
    parse_subscriber,
    parse_subscriber_patch,
    parse_subscription,
)
from services.runtime.database import Connection, Pool
from services.runtime.settings import Settings
from services.runtime.vault import Vault
from services.runtime.web.auth import Guard
from services.runtime.web.problems import Refused
from services.storage import erasing, people, subscribers, subscriptions
from services.storage.ledger import next_cursor
from services.subscribers import answers, exporting, people_api, probe_api, subscription_api
from services.subscribers.bodies import described, read_json
from services.subscribers.consent import refusals
from services.subscribers.known import held, shown, unknown_subscriber
from services.subscribers.subscribing import subscribe
from services.subscribers.transaction import transact

READING = ("read", "registry", "operate")
#: NUL is the one character that Postgres does not hold.
_Search = Annotated[
    str | None, Query(max_length=100, pattern=r"^[^\x00]*$", description="Part of a slug or name")
]
_Cursor = Annotated[UUID | None, Query(description="`next` of the page before")]
_Erase = Annotated[bool, Query(description="Forget who it was, for good")]
_Limit = Annotated[int, Query(ge=1, le=1000, description="Items on a page")]


def router(pool: Pool, vault: Vault, guard: Guard, settings: Settings) -> APIRouter:
    """Make the routes of the registry."""
    routes = APIRouter()
    routes.include_router(_subscribers(pool, vault, guard, settings))
    routes.include_router(_subscriptions_of(pool, vault, guard, settings))
    routes.include_router(exporting.router(pool, guard))
    routes.include_router(people_api.router(pool, vault, guard, settings))
    routes.include_router(probe_api.router(pool, vault, guard))
    routes.include_router(subscription_api.router(pool, vault, guard, settings))
    return routes


def _subscribers(pool: Pool, vault: Vault, guard: Guard, settings: Settings) -> APIRouter:
    routes = APIRouter(prefix="/v1/subscribers", tags=["subscribers"])
    reading, writing = [guard.needs(*READING)], [guard.needs("registry")]

    @routes.get("", dependencies=reading, responses=answers.problems(422))
    async def list_subscribers(
        q: _Search = None, kind: Kind | None = None, cursor: _Cursor = None, limit: _Limit = 100
    ) -> answers.SubscriberPage:
        """List the subscribers, oldest first."""
        async with pool.acquire() as connection:
            rows = await subscribers.page(connection, text=q, kind=kind, after=cursor, limit=limit)
        items = [answers.ListedSubscriber(**dict(row)) for row in rows]
        return answers.SubscriberPage(items=items, next=next_cursor(rows, limit))

    @routes.post(
        "",
        status_code=201,
        dependencies=writing,
        openapi_extra=described(SubscriberIn),
        responses=answers.problems(409, 413, 422),
    )
    async def add_subscriber(request: Request, response: Response) -> answers.SubscriberInFull:
        """Add a subscriber. A slug is used once, also when its subscriber has ended."""
        new = parse_subscriber(await read_json(request, settings.body_limit_bytes))
        response.headers["Location"] = f"/v1/subscribers/{new.slug}"
        return await transact(pool, lambda connection: _add(connection, new))

    @routes.get("/{slug}", dependencies=reading, responses=answers.problems(404))
    async def show_subscriber(slug: str) -> answers.SubscriberInFull:
        """Show a subscriber with its people and subscriptions."""
        async with pool.acquire() as connection:
            return await in_full(connection, slug)

    @routes.patch(
        "/{slug}",
        dependencies=writing,
        openapi_extra=described(SubscriberPatch),
        responses=answers.problems(404, 413, 422),
    )
    async def change_subscriber(slug: str, request: Request) -> answers.SubscriberInFull:
        """Change what the body names; the slug stays."""
        patch = parse_subscriber_patch(await read_json(request, settings.body_limit_bytes))
        return await transact(pool, lambda connection: _change(connection, slug, patch))

    @routes.delete("/{slug}", status_code=204, dependencies=writing, responses=answers.problems(404, 422))
    async def end_subscriber(slug: str, erase: _Erase = False) -> None:
        """End a subscriber with all its subscriptions; what they are owed is cancelled.

        The records stay, and the slug stays taken. With `erase` whatever names or reaches anybody goes for
        good (GDPR article 17), also of one that ended before; the ledger's counts, states and times stay.
        """
        if not (is_slug(slug) and await transact(pool, lambda c: _end(c, vault, slug, erase=erase))):
            raise unknown_subscriber(slug)

    return routes


def _subscriptions_of(pool: Pool, vault: Vault, guard: Guard, settings: Settings) -> APIRouter:
    routes = APIRouter(prefix="/v1/subscribers/{slug}/subscriptions", tags=["subscriptions"])

    @routes.get("", dependencies=[guard.needs(*READING)], responses=answers.problems(404))
    async def list_subscriptions(slug: str) -> answers.SubscriptionList:
        """List a subscriber's subscriptions, oldest first, the ended ones too."""
        async with pool.acquire() as connection:
            subscriber = await in_full(connection, slug)
        return answers.SubscriptionList(items=subscriber.subscriptions)

    @routes.post(
        "",
        status_code=201,
        dependencies=[guard.needs("registry")],
        openapi_extra=described(SubscriptionIn),
        responses=answers.problems(404, 409, 413, 422, 429),
    )
    async def add_subscription(slug: str, request: Request, response: Response) -> answers.NewSubscription:
        """Subscribe by a channel; active at once, or with `"verify": true` once its owner agrees.

        Then the owner of a mailbox is asked by a letter; a webhook is asked for consent (CloudEvents abuse
        protection), or else to answer a signed challenge, at once and a few times within a day.

        A webhook's answer carries its `secret`, this once. It is ours to make, or yours to supply
        (`whsec_…`). With `"algorithm": "v1a"` webhooks are signed with ed25519: the answer's `secret`
        is then the public key (`whpk_…`), and the private one stays with us.
        """
        body = await read_json(request, settings.body_limit_bytes)
        wanted = parse_subscription(body, settings.allowed_networks)
        added = await transact(pool, lambda connection: _subscribe(connection, vault, slug, wanted))
        response.headers["Location"] = f"/v1/subscriptions/{added.id}"
        response.headers["Cache-Control"] = "no-store"
        return added

    return routes


async def _end(connection: Connection, vault: Vault, slug: str, *, erase: bool) -> bool:
    if erase:
        return await erasing.erase(connection, vault, slug)
    return await subscribers.end(connection, slug, "ended")


async def _add(connection: Connection, new: SubscriberIn) -> answers.SubscriberInFull:
    if await subscribers.add(connection, new) is None:
        raise Refused(409, f"The slug {new.slug!r} is taken, now or by a subscriber that has ended.")
    return await in_full(connection, new.slug)


async def _change(connection: Connection, slug: str, patch: SubscriberPatch) -> answers.SubscriberInFull:
    if not (is_slug(slug) and await subscribers.change(connection, slug, patch.given())):
        raise unknown_subscriber(slug)
    return await in_full(connection, slug)


async def in_full(connection: Connection, slug: str) -> answers.SubscriberInFull:
    """Read a subscriber with its people and subscriptions; raise `Refused` when there is none."""
    row = await shown(connection, slug)
    return answers.in_full(
        row,
        await people.of_subscriber(connection, row["id"]),
        await subscriptions.of_subscriber(connection, row["id"]),
    )


async def _subscribe(
    connection: Connection, vault: Vault, slug: str, wanted: SubscriptionIn
) -> answers.NewSubscription:
    subscriber = await held(connection, slug)
    with refusals():
        added = await subscribe(connection, vault, subscriber["id"], wanted, subscriber["language"])
    row = await subscriptions.get(connection, added.id)
    return answers.NewSubscription(**answers.subscription_fields(row), secret=added.secret)
