"""Proves that an endpoint is its owner's, and wants what we send.

Rules:
1. Consent by OPTIONS: the endpoint names our origin, or every origin; its status means nothing.
2. Otherwise it must answer a signed challenge: 2xx, and nothing but the nonce. An endpoint that sends back
   whatever it gets does not know what it says.

Source: CloudEvents 1.0 "HTTP 1.1 Web Hooks", section 4 (abuse protection).
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from services.domain.problems import Invalid
from services.domain.strict_json import parse_json

#: How many requests a minute we would like to make.
RATE = "120"


def origin_of(public_url: str) -> str:
    """Name us as `WebHook-Request-Origin` does: by our host.

    >>> origin_of("https://opdrachten.example:8443/x")
    'opdrachten.example'
    """
    return (urlsplit(public_url).hostname or "").lower()


def consents(headers: Mapping[str, str], origin: str) -> bool:
    """Tell whether an answer to OPTIONS lets this origin send; `headers` are looked up in any case.

    >>> consents({"webhook-allowed-origin": "*"}, "opdrachten.example")
    True
    """
    found = {name.lower(): value for name, value in headers.items()}
    allowed = found.get("webhook-allowed-origin", "").strip().lower()
    return allowed == "*" or (origin != "" and allowed == origin.lower())


def answers(body: str, nonce: str) -> bool:
    """Tell whether a body is the nonce itself, or the JSON `{"challenge": nonce}`.

    >>> answers(' n0nce', "n0nce"), answers('{"challenge": "n0nce"}', "n0nce"), answers("no n0nce", "n0nce")
    (True, True, False)
    """
    text = body.strip()
    if text == nonce:
        return True
    try:
        value = parse_json(text.encode())
    except Invalid:
        return False
    return value == nonce or (isinstance(value, dict) and value.get("challenge") == nonce)
