"""The channels: a new one is one file in channels/ and one entry here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from services.dispatcher.channels.email import Email
from services.dispatcher.channels.webhook import Webhook
from services.dispatcher.message import Channel
from services.dispatcher.sender import SenderPolicy
from services.domain.breaker import BreakerPolicy
from services.domain.passing_on import Door
from services.domain.proof import origin_of
from services.domain.retry import RetryPolicy
from services.runtime.passing_links import passing_links
from services.runtime.settings import Settings


@dataclass(frozen=True, slots=True)
class ChannelSpec:
    """How a channel is made, and how it is sent.

    `breaker`: failures are the endpoint's own, so a circuit breaker watches it; a mail relay's are not.
    `judges_refusals`: what is refused for good is about the address, and may suppress it.
    `attempt_seconds` is the outer limit of one try; the channel's own limits are tighter.
    """

    make: Callable[[Settings], Channel]
    schedule: Callable[[Settings], str]
    slots: Callable[[Settings], int]
    attempt_seconds: Callable[[Settings], float]
    breaker: bool = False
    judges_refusals: bool = False

    def policy(self, settings: Settings) -> SenderPolicy:
        """Read the sender's policy from the settings."""
        return SenderPolicy(
            retry=RetryPolicy.parse(self.schedule(settings)),
            slots=self.slots(settings),
            destination_slots=settings.destination_slots,
            lease_seconds=settings.lease_seconds,
            attempt_seconds=self.attempt_seconds(settings),
        )

    def breaker_policy(self, settings: Settings) -> BreakerPolicy | None:
        """Read the circuit breaker's policy from the settings; None for a channel without one."""
        return settings.breaker_policy if self.breaker else None


CHANNELS: Mapping[str, ChannelSpec] = {
    "webhook": ChannelSpec(
        make=lambda s: Webhook(
            timeout_seconds=s.webhook_timeout_seconds,
            allowed_networks=s.allowed_networks,
            slots=s.webhook_slots,
            passing_link=passing_links(s, Door.WEBHOOK),
            origin=origin_of(s.public_url),
        ),
        schedule=lambda s: s.webhook_schedule,
        slots=lambda s: s.webhook_slots,
        attempt_seconds=lambda s: s.webhook_timeout_seconds + 5,
        breaker=True,
    ),
    "email": ChannelSpec(
        make=Email,
        schedule=lambda s: s.email_schedule,
        # while one outcome is recorded, its connection to the relay has the next mail
        slots=lambda s: 2 * s.smtp_connections,
        attempt_seconds=lambda s: 4 * s.email_timeout_seconds,
        judges_refusals=True,
    ),
}
