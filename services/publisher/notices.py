"""What a notice announces: that an opportunity was published, changed or awarded.

Rules:
1. The first notice is `opportunity.published`, with the identity a bare opportunity would have.
2. A notice that changes another (BT-758) is `opportunity.updated`; it has a number of its own, because
   its version may begin at 1 again.
3. A notice of a result is `opportunity.awarded`; feeds show it, nobody is mailed about it.
"""

from collections.abc import Mapping
from typing import Any

from services.domain.event import EventType


def notice_event(opportunity: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Write the CloudEvent of a notice read by `read_notice`."""
    kind = _kind(opportunity)
    version = opportunity.get("version", 1)
    own = version if kind == EventType.PUBLISHED else opportunity.get("notice_id") or f"{kind}:{version}"
    event = {
        "specversion": "1.0",
        "id": f"{opportunity['id']}:{own}",
        "source": source,
        "type": str(kind),
        "subject": opportunity["id"],
        "data": dict(opportunity),
    }
    if opportunity.get("published_at"):
        event["time"] = opportunity["published_at"]
    return event


def _kind(opportunity: Mapping[str, Any]) -> EventType:
    notice_type = str(opportunity.get("notice_type", ""))
    # the code of the form type (can-standard, can-social, …), or the name of the document
    if notice_type.startswith(("can-", "contractawardnotice")):
        return EventType.AWARDED
    return EventType.UPDATED if opportunity.get("changed_notice_id") else EventType.PUBLISHED
