"""Signs webhooks as Standard Webhooks 1.0.0 asks, so that a receiver can tell who sent what.

Rules:
1. What is signed is `id.timestamp.body`, over the very bytes that are sent.
2. One signature for each secret, in order: a receiver that knows either the old or the new one goes on.
3. `whsec_` secrets sign with HMAC-SHA256 (`v1`), `whsk_` ones with ed25519 (`v1a`).
4. No secret, nor any part of one, stands in an exception.
"""

import hmac
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SYMMETRIC = "whsec_"
ASYMMETRIC = "whsk_"
PUBLIC = "whpk_"
_SEED_BYTES = 32
_REMEMBERED = 4096

Signer = Callable[[bytes], bytes]


def sign(secrets: Sequence[str], message_id: str, timestamp: int, body: bytes) -> str:
    """Write the `webhook-signature` header; raise ValueError for a bad secret, or for none at all.

    `timestamp` is the attempt's, in whole seconds since 1970.
    Source: Standard Webhooks 1.0.0, "Signature scheme".
    """
    if not secrets:
        raise ValueError("there is no secret to sign with")
    content = b"%b.%d.%b" % (message_id.encode(), timestamp, body)
    return " ".join([_signed(secret, content) for secret in secrets])


def symmetric_secret(random_bytes: bytes) -> str:
    """Write 24 to 64 random bytes as a `whsec_` secret; raise ValueError for fewer or more."""
    _check_size(random_bytes)
    return SYMMETRIC + b64encode(random_bytes).decode()


def asymmetric_secret(seed: bytes) -> str:
    """Write a 32-byte ed25519 seed as a `whsk_` secret; raise ValueError for another length."""
    if len(seed) != _SEED_BYTES:
        raise ValueError("an ed25519 seed is 32 bytes long")
    return ASYMMETRIC + b64encode(seed).decode()


def public_key(secret: str) -> str:
    """Tell the `whpk_` key that belongs to a `whsk_` secret; raise ValueError for any other."""
    if not secret.startswith(ASYMMETRIC):
        raise ValueError("only a whsk_ secret has a public key")
    return PUBLIC + b64encode(_private_key(secret).public_key().public_bytes_raw()).decode()


def check_secret(text: str) -> None:
    """Raise ValueError, with a sentence for its owner, unless `text` can sign."""
    _signer(text)


def _signed(secret: str, content: bytes) -> str:
    version, signer = _signer(secret)
    return version + b64encode(signer(content)).decode()


@lru_cache(maxsize=_REMEMBERED)
def _signer(secret: str) -> tuple[str, Signer]:
    """Decode a secret once: the version it signs with, and how."""
    if secret.startswith(SYMMETRIC):
        return "v1,", _hmac_sha256(_decoded(secret, SYMMETRIC))
    if secret.startswith(ASYMMETRIC):
        return "v1a,", _private_key(secret).sign
    raise ValueError("a webhook secret begins with whsec_ or whsk_")


def _hmac_sha256(key: bytes) -> Signer:
    _check_size(key)
    # not a partial: its repr would show the key
    return lambda content: hmac.digest(key, content, "sha256")


def _private_key(secret: str) -> Ed25519PrivateKey:
    """Read a seed, or a seed with its public key behind it as libsodium writes them."""
    raw = _decoded(secret, ASYMMETRIC)
    if len(raw) not in (_SEED_BYTES, 2 * _SEED_BYTES):
        raise ValueError("a whsk_ secret holds 32 or 64 bytes, in base64")
    key = Ed25519PrivateKey.from_private_bytes(raw[:_SEED_BYTES])
    if len(raw) > _SEED_BYTES and key.public_key().public_bytes_raw() != raw[_SEED_BYTES:]:
        raise ValueError("the two halves of this whsk_ secret do not belong together")
    return key


def _decoded(secret: str, prefix: str) -> bytes:
    text = secret[len(prefix) :]
    try:
        return b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        raise ValueError(f"what follows {prefix} must be base64") from None


def _check_size(key: bytes) -> None:
    """Source: Standard Webhooks 1.0.0, "Symmetric": between 24 and 64 bytes."""
    if not 24 <= len(key) <= 64:
        raise ValueError("a whsec_ secret holds 24 to 64 bytes, in base64")
