"""Keeps secrets encrypted at rest, and makes tokens."""

import hashlib
import secrets

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from services.runtime.settings import ConfigError, Settings


class Vault:
    """Seals and opens secrets with SECRET_KEY; an older key still opens, the newest seals."""

    def __init__(self, settings: Settings) -> None:
        self._fernet = MultiFernet([Fernet(key) for key in settings.encryption_keys])

    def seal(self, secret: str) -> bytes:
        """Encrypt a secret for the database."""
        return self._fernet.encrypt(secret.encode())

    def open(self, sealed: bytes) -> str:
        """Decrypt a secret; raise `ConfigError` when no key opens it."""
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken:
            raise ConfigError(
                "OMROEPER_SECRET_KEY does not open the secrets in this database; "
                "put the key they were sealed with behind the new one, separated by a comma"
            ) from None

    def __repr__(self) -> str:
        return "Vault(…)"


def new_token() -> str:
    """Make an unguessable token of 128 bits, 22 characters, safe in a URL."""
    return secrets.token_urlsafe(16)


def token_hash(token: str) -> bytes:
    """Hash a token or key of at least 128 random bits, to look it up without keeping it."""
    return hashlib.sha256(token.encode()).digest()
