"""Says in one sentence why a delivery or a subscription stands as it does; the one place for these words.

Rules:
1. A reason is kept as a short code; those that people can do something with have a sentence.
2. What a receiver or relay answered (`http_500`, `smtp_451`) stays a code, to be looked for.
"""

from services.domain.speech import Speech, later

_SENTENCES = {
    "digest": later("It waits for the next digest."),
    "quiet_hours": later("It waits for the end of the quiet hours."),
    "superseded": later("A newer version of the opportunity took its place."),
    "withdrawn": later("The opportunity was withdrawn."),
    "deadline": later("The deadline of the opportunity has passed."),
    "unsubscribed": later("The subscription was ended by its owner."),
    "paused": later("The subscription was paused."),
    "endpoint_paused": later("The endpoint failed too often; it is tried again later."),
    "bounced": later("Earlier mails to this address came back."),
    "complained": later("Somebody reported our mails as unwanted."),
    "gone": later("The address of the webhook said that it is gone (410)."),
    "dead": later("The address of the webhook had not answered well for days."),
    "ended": later("The subscription was stopped."),
    "left": later("Your organisation left."),
    "moved": later("It goes to the new address."),
    "refused": later("The owner of the mailbox does not want this."),
    "not_confirmed": later("Its owner did not confirm in time."),
    "lease_expired": later("We were interrupted while sending it, and try again."),
}


def standing(reason: str | None, said: Speech) -> str:
    """Explain a reason; a code that has no sentence is given back, and none is an empty text."""
    if reason is None:
        return ""
    return said.gettext(_SENTENCES[reason]) if reason in _SENTENCES else reason
