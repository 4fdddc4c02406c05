"""Checks that a webhook comes from Omroeper, by Python's own library alone (Standard Webhooks, v1)."""

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping

TOLERANCE_SECONDS = 300


def is_genuine(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Tell whether a request is ours and fresh; `body` must be the bytes as they came, before any parsing.

    `secret` is your `whsec_…`; the names of `headers` are in lower case.
    """
    message_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    if not timestamp.isdecimal() or abs(time.time() - int(timestamp)) > TOLERANCE_SECONDS:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    content = f"{message_id}.{timestamp}.".encode() + body
    expected = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest())
    # while a secret is being replaced there are two signatures; one that fits is enough
    signatures = [part.partition(",") for part in headers.get("webhook-signature", "").split()]
    return any(
        version == "v1" and hmac.compare_digest(value.encode(), expected) for version, _, value in signatures
    )
