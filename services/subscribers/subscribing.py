"""Makes subscriptions: their unsubscribe tokens and signing secrets, and has their owners asked."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

from services.domain.signing import asymmetric_secret, public_key, symmetric_secret
from services.domain.subscriber import SubscriptionIn
from services.runtime.database import Connection
from services.runtime.vault import Vault, new_token, token_hash
from services.storage import confirmations, left_alone, probes, subscriptions
from services.storage.subscriptions import NewSubscription

_SECRET_BYTES = 32
_MAKERS: dict[str, Callable[[bytes], str]] = {"v1": symmetric_secret, "v1a": asymmetric_secret}


@dataclass(frozen=True, slots=True)
class Subscribed:
    """A new subscription; for a webhook with what its receiver checks signatures with."""

    id: UUID
    secret: str | None = field(repr=False)


async def subscribe(
    connection: Connection, vault: Vault, subscriber_id: UUID, wanted: SubscriptionIn, language: str
) -> Subscribed:
    """Add a subscription, in `language` unless it names one itself. Runs in the caller's transaction.

    With `verify` it is pending, and its owner is asked: by a letter, or by a probe of the webhook. Raises
    `TooOften`, `SaidNo`, and `LeaveAlone` for a mailbox that may be mailed only once its owner says yes.
    """
    if wanted.channel == "email":
        await left_alone.check(connection, vault, wanted.target, asked=wanted.verify)
    subscribed = await _add(connection, vault, subscriber_id, wanted, language)
    if wanted.verify:
        await ask_owner(connection, vault, subscribed.id, wanted.channel)
    return subscribed


async def ask_owner(connection: Connection, vault: Vault, subscription_id: UUID, channel: str) -> UUID | None:
    """Ask the owner of a pending subscription; return the probe by which, or None for a letter.

    Raises `TooOften` and `SaidNo`. Runs in the caller's transaction.
    """
    if channel == "webhook":
        return await probes.ask(connection, subscription_id, "verify")
    await confirmations.ask(connection, vault, subscription_id)
    return None


async def _add(
    connection: Connection, vault: Vault, subscriber_id: UUID, wanted: SubscriptionIn, language: str
) -> Subscribed:
    token = new_token()
    new = NewSubscription(
        subscriber_id=subscriber_id,
        channel=wanted.channel,
        target=wanted.target,
        filter=wanted.filter,
        language=wanted.language or language,
        token_hash=token_hash(token),
        token_seal=vault.seal(token),
        cadence=wanted.cadence,
        quiet=wanted.quiet_hours.times if wanted.quiet_hours else None,
        status="pending" if wanted.verify else "active",
        reminders=wanted.reminders,
    )
    subscription_id = await subscriptions.add(connection, new)
    secret = None
    if wanted.channel == "webhook":
        secret = await give_secret(connection, vault, subscription_id, wanted.algorithm, wanted.secret)
    return Subscribed(subscription_id, secret)


async def give_secret(
    connection: Connection, vault: Vault, subscription_id: UUID, algorithm: str, supplied: str | None = None
) -> str:
    """Give a webhook a secret, made here unless supplied; return what its receiver must know.

    For `v1` that is the secret itself; for `v1a` the public key (`whpk_…`): the private one never leaves.
    """
    secret = supplied or _MAKERS[algorithm](secrets.token_bytes(_SECRET_BYTES))
    await subscriptions.add_secret(connection, subscription_id, algorithm, vault.seal(secret))
    return public_key(secret) if algorithm == "v1a" else secret
