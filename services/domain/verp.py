"""Envelope senders that tell which delivery a bounce is about (variable envelope return path)."""

import re

_TOKEN = re.compile(r"[0-9a-f]{32}")
_ADDRESS = re.compile(r"<?bounce\+([0-9a-f]{32})@[^\s@<>]+>?", re.IGNORECASE)


def envelope_sender(token: str, domain: str) -> str:
    """Write the address that bounces of a delivery come back to; `token` is the delivery's id in hex.

    The local part is 39 characters, within the 64 of RFC 5321 section 4.5.3.1.1.
    Raises ValueError for a token of another shape.

    >>> envelope_sender("0190c0de" * 4, "opdrachten.example")
    'bounce+0190c0de0190c0de0190c0de0190c0de@opdrachten.example'
    """
    if not _TOKEN.fullmatch(token):
        raise ValueError("a token is 32 lower-case hexadecimal digits")
    return f"bounce+{token}@{domain}"


def token_of(address: str) -> str | None:
    """Read the delivery's token from a bounce's recipient; None when it is not one of ours.

    Relays may change case or add angle brackets; the domain is the caller's to judge.

    >>> token_of("<Bounce+0190C0DE0190C0DE0190C0DE0190C0DE@opdrachten.example>")
    '0190c0de0190c0de0190c0de0190c0de'
    """
    found = _ADDRESS.fullmatch(address.strip())
    return found[1].lower() if found else None
