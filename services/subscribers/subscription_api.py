"""`/v1/subscriptions`: one subscription changed, paused, resumed, ended, given a new secret."""

from uuid import UUID

from fastapi import APIRouter, Request, Response

from services.domain.egress import Networks
from services.domain.subscriber import (
    Rotation,
    SubscriptionPatch,
    parse_rotation,
    parse_subscription_patch,
)
from services.runtime.database import Connection, Pool
from services.runtime.settings import Settings
from services.runtime.vault import Vault
from services.runtime.web.auth import Guard
from services.runtime.web.problems import Refused
from services.storage import subscriptions
from services.subscribers import answers
from services.subscribers.bodies import described, read_json
from services.subscribers.subscribing import give_secret
from services.subscribers.transaction import transact

#: Why a change is not made to a subscription as it stands.
_OBSTACLES = {
    "ended": "The subscription has ended, for good; make a new one.",
    "pending": "The subscription is not confirmed by its owner yet.",
    "disabled": "The subscription is disabled: nothing is sent until it is resumed.",
}


def router(pool: Pool, vault: Vault, guard: Guard, settings: Settings) -> APIRouter:
    """Make the routes of one subscription."""
    routes = APIRouter(prefix="/v1/subscriptions/{subscription_id}", tags=["subscriptions"])
    _show_and_end(routes, pool, guard)
    _change(routes, pool, guard, settings)
    _pause_and_resume(routes, pool, guard)
    _rotate(routes, pool, vault, guard, settings)
    return routes


def _show_and_end(routes: APIRouter, pool: Pool, guard: Guard) -> None:
    reading = [guard.needs("read", "registry", "operate")]

    @routes.get("", dependencies=reading, responses=answers.problems(404, 422))
    async def show_subscription(subscription_id: UUID) -> answers.Subscription:
        """Show a subscription, if only an ended one."""
        async with pool.acquire() as connection:
            return await _known(connection, subscription_id)

    @routes.delete(
        "", status_code=204, dependencies=[guard.needs("registry")], responses=answers.problems(404, 422)
    )
    async def end_subscription(subscription_id: UUID) -> None:
        """End a subscription, and cancel what it is owed. Idempotent; the records stay."""
        if not await transact(pool, lambda c: subscriptions.end(c, subscription_id, "ended")):
            raise _unknown()


def _change(routes: APIRouter, pool: Pool, guard: Guard, settings: Settings) -> None:
    @routes.patch(
        "",
        dependencies=[guard.needs("registry")],
        openapi_extra=described(SubscriptionPatch),
        responses=answers.problems(404, 409, 413, 422),
    )
    async def change_subscription(subscription_id: UUID, request: Request) -> answers.Subscription:
        """Change the target, the filter, the cadence, the quiet hours, the reminders or the language.

        What is owed already stays owed, and goes to the new target.
        """
        body = await read_json(request, settings.body_limit_bytes)
        return await transact(pool, lambda c: _apply(c, subscription_id, body, settings.allowed_networks))


def _pause_and_resume(routes: APIRouter, pool: Pool, guard: Guard) -> None:
    writing, refusals = [guard.needs("registry")], answers.problems(404, 409, 422)

    @routes.post("/pause", dependencies=writing, responses=refusals)
    async def pause_subscription(subscription_id: UUID) -> answers.Subscription:
        """Pause a subscription: until it resumes, what it is owed is `suppressed`. Idempotent.

        That holds for what it is owed already, too. What is suppressed is not sent later by itself; a
        replay sends it.
        """
        return await transact(pool, lambda connection: _pause(connection, subscription_id))

    @routes.post("/resume", dependencies=writing, responses=refusals)
    async def resume_subscription(subscription_id: UUID) -> answers.Subscription:
        """Make a paused or disabled subscription active again. Idempotent."""
        return await transact(pool, lambda connection: _resume(connection, subscription_id))


def _rotate(routes: APIRouter, pool: Pool, vault: Vault, guard: Guard, settings: Settings) -> None:
    @routes.post(
        "/rotate-secret",
        dependencies=[guard.needs("registry")],
        openapi_extra=described(Rotation, required=False),
        responses=answers.problems(404, 409, 413, 422),
    )
    async def rotate_secret(subscription_id: UUID, request: Request, response: Response) -> answers.Rotated:
        """Give a webhook a new secret; the ones before it sign along for a day, unless you say otherwise.

        For `v1a` the answer's `secret` is the new public key.
        """
        rotation = parse_rotation(await read_json(request, settings.body_limit_bytes))
        response.headers["Cache-Control"] = "no-store"
        return await transact(pool, lambda c: _new_secret(c, vault, subscription_id, rotation))


def _unknown() -> Refused:
    return Refused(404, "There is no subscription with this id.")


async def _known(connection: Connection, subscription_id: UUID) -> answers.Subscription:
    row = await subscriptions.get(connection, subscription_id)
    if row is None:
        raise _unknown()
    return answers.subscription(row)


async def _hold(connection: Connection, subscription_id: UUID, *obstacles: str) -> subscriptions.Row:
    """Lock a subscription for a change; refuse when it stands as one of the obstacles."""
    row = await subscriptions.lock(connection, subscription_id)
    if row is None:
        raise _unknown()
    if row["status"] in obstacles:
        raise Refused(409, _OBSTACLES[row["status"]])
    return row


async def _apply(
    connection: Connection, subscription_id: UUID, body: object, allowed: Networks
) -> answers.Subscription:
    row = await _hold(connection, subscription_id, "ended")
    patch = parse_subscription_patch(body, row["channel"], allowed)
    if "target" in patch.model_fields_set:
        await subscriptions.set_target(connection, subscription_id, row["channel"], patch.target)
    if "filter" in patch.model_fields_set:
        await subscriptions.set_filter(connection, subscription_id, patch.filter)
    if "cadence" in patch.model_fields_set:
        await subscriptions.set_cadence(connection, subscription_id, patch.cadence)
    if "quiet_hours" in patch.model_fields_set:
        quiet = patch.quiet_hours.times if patch.quiet_hours else None
        await subscriptions.set_quiet_hours(connection, subscription_id, quiet)
    if "reminders" in patch.model_fields_set:
        await subscriptions.set_reminders(connection, subscription_id, patch.reminders)
    if "language" in patch.model_fields_set:
        await subscriptions.set_language(connection, subscription_id, patch.language)
    return await _known(connection, subscription_id)


async def _pause(connection: Connection, subscription_id: UUID) -> answers.Subscription:
    row = await _hold(connection, subscription_id, "ended", "pending", "disabled")
    if row["status"] == "active":
        await subscriptions.pause(connection, subscription_id)
    return await _known(connection, subscription_id)


async def _resume(connection: Connection, subscription_id: UUID) -> answers.Subscription:
    row = await _hold(connection, subscription_id, "ended", "pending")
    if row["status"] != "active":
        await subscriptions.resume(connection, subscription_id)
    return await _known(connection, subscription_id)


async def _new_secret(
    connection: Connection, vault: Vault, subscription_id: UUID, rotation: Rotation
) -> answers.Rotated:
    row = await _hold(connection, subscription_id, "ended")
    if row["channel"] != "webhook":
        raise Refused(409, "Only a webhook has a secret; this subscription is told by another channel.")
    kind = await subscriptions.retire_secrets(connection, subscription_id, rotation.overlap_hours) or "v1"
    secret = await give_secret(connection, vault, subscription_id, kind)
    return answers.Rotated(
        id=subscription_id, algorithm=kind, secret=secret, overlap_hours=rotation.overlap_hours
    )
