"""Keeps secrets encrypted at rest, and makes tokens."""

import hashlib
import hmac
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.runtime.settings import ConfigError, Settings

_NONCE_BYTES = 12


class Vault:
    """Seals and opens secrets with SECRET_KEY; an older key still opens, the newest seals.

    AES-256-GCM with a random nonce (NIST SP 800-38D): authenticated, and quick enough to open one
    secret per delivery.
    """

    def __init__(self, settings: Settings) -> None:
        self._ciphers = [AESGCM(key) for key in settings.encryption_keys]
        self._marks = settings.signing_keys("fingerprint")

    def seal(self, secret: str) -> bytes:
        """Encrypt a secret for the database."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._ciphers[0].encrypt(nonce, secret.encode(), None)

    def open(self, sealed: bytes) -> str:
        """Decrypt a secret; raise `ConfigError` when no key opens it."""
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None).decode()
            except InvalidTag:
                continue
        raise ConfigError(
            "OMROEPER_SECRET_KEY does not open the secrets in this database; "
            "put the key they were sealed with behind the new one, separated by a comma"
        )

    def fingerprints(self, text: str) -> list[bytes]:
        """Hash what could be guessed, such as an address: with each key, newest first.

        Keep the first; look for any. Without SECRET_KEY nobody can tell whose it is.
        """
        return [hmac.digest(key, text.encode(), "sha256") for key in self._marks]

    def __repr__(self) -> str:
        return "Vault(…)"


def new_token() -> str:
    """Make an unguessable token of 128 bits, 22 characters, safe in a URL."""
    return secrets.token_urlsafe(16)


def token_hash(token: str) -> bytes:
    """Hash a token or key of at least 128 random bits, to look it up without keeping it."""
    return hashlib.sha256(token.encode()).digest()
