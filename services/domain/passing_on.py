"""The second hop: what an incubator tells of an opportunity that it passed on, and the link by which it may.

Rules:
1. A link names a subscriber and an event, is signed by us, and needs no login: it says "passed on", no more.
2. Whoever has no key cannot make or change one; reading never raises, whatever is given.
3. Nothing is told twice: for one subscriber, opportunity and way, the last word counts.
4. No number is better than a wrong one: of a website nobody knows how many start-ups saw it. Zero says that
   nobody suited, and is no passing on.
"""

import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.domain.problems import Invalid, Problem, from_pydantic

#: What the keys are for, so that a link of one purpose is none of another.
PURPOSE = "passed on"
MOST_STARTUPS = 100_000
_VERSION = 1
_ID_BYTES = 16
#: 96 bits of HMAC-SHA256 (RFC 2104 section 5: at least half of it, or 80 bits).
_SEAL_BYTES = 12
_SIGNED_BYTES = 1 + 2 * _ID_BYTES
#: 45 bytes, so base64 has neither padding nor bits that could be changed unseen.
_TOKEN = re.compile(r"[A-Za-z0-9_-]{60}")


class Way(StrEnum):
    """How it was passed on."""

    NEWSLETTER = "newsletter"
    MAIL = "mail"
    MEETING = "meeting"
    WEBSITE = "website"
    SOCIAL = "social"
    CHAT = "chat"
    OTHER = "other"


class Door(IntEnum):
    """Where the link stood that it was told by; the number is part of the token."""

    MAIL = 1
    WEBHOOK = 2
    FEED = 3
    PORTAL = 4


#: The version and the door share the first byte.
_FIRST_BYTES = {door: bytes([_VERSION << 4 | door]) for door in Door}
_DOORS = {first[0]: door for door, first in _FIRST_BYTES.items()}


@dataclass(frozen=True, slots=True)
class Link:
    """What a genuine token says."""

    subscriber_id: UUID
    event_id: UUID
    door: Door


class Told(BaseModel):
    """That it was passed on: by which way, and to about how many start-ups (null: not known)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    way: Way
    startups: Annotated[int, Field(strict=True, ge=0, le=MOST_STARTUPS)] | None = None


def passing_url(
    public_url: str, key: bytes, subscriber_id: UUID, event_id: UUID, door: Door = Door.PORTAL
) -> str:
    """Write the link by which a subscriber tells that it passed on what an event was about."""
    signed = _FIRST_BYTES[door] + subscriber_id.bytes + event_id.bytes
    return f"{public_url}/p/{urlsafe_b64encode(signed + _seal(key, signed)).decode()}"


def read_token(token: str, keys: Sequence[bytes]) -> Link | None:
    """Read a link's token; None unless one of the keys made it."""
    if not _TOKEN.fullmatch(token):
        return None
    raw = urlsafe_b64decode(token)
    signed, seal = raw[:_SIGNED_BYTES], raw[_SIGNED_BYTES:]
    # every key is tried, so that timing does not tell which one fits
    genuine = [hmac.compare_digest(seal, _seal(key, signed)) for key in keys]
    if not any(genuine) or signed[0] not in _DOORS:
        return None
    return Link(UUID(bytes=signed[1:17]), UUID(bytes=signed[17:]), _DOORS[signed[0]])


def parse_told(body: object) -> Told:
    """Read what a program tells; raise `Invalid` with a problem per bad field."""
    if not isinstance(body, dict):
        raise Invalid(Problem("", 'must be a JSON object, such as {"way": "newsletter", "startups": 40}'))
    try:
        return Told.model_validate(body)
    except ValidationError as error:
        raise from_pydantic(error) from None


def hops(event: dict[str, Any]) -> str:
    """Sum an event's ledger up in one line: from whom it concerned to what came of it.

    >>> passed_on = {"subscribers": 12, "startups": 340}
    >>> proposals = {"received": 7, "startup_won": True}
    >>> sent = {"matched": 36, "states": {"sent": 33}, "receipts": {"hard": 1}}
    >>> hops({**sent, "passed_on": passed_on, "proposals": proposals})[:50]
    'matched 36 → sent 33, of which 1 came back → passe'
    """
    passed = event["passed_on"]
    reached = f" (to about {_counted(passed['startups'], 'start-up')})" if passed["startups"] else ""
    line = f"matched {event['matched']} → sent {event['states'].get('sent', 0)}"
    came_back = sum(event["receipts"].values())
    line += f", of which {came_back} came back" if came_back else ""
    line += f" → passed on by {passed['subscribers']}{reached}"
    outcome = _outcome(event["proposals"] or {})
    return f"{line} → {outcome}" if outcome else line


def _outcome(proposals: dict[str, Any]) -> str:
    received, won = proposals.get("received"), proposals.get("startup_won")
    said = [] if received is None else [_counted(received, "proposal")]
    if won is not None:
        said.append("won by a start-up" if won else "not won by a start-up")
    return ", ".join(said)


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _seal(key: bytes, signed: bytes) -> bytes:
    return hmac.digest(key, signed, "sha256")[:_SEAL_BYTES]
