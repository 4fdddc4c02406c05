"""API keys: `Authorization: Bearer KEY`, each key with its scopes."""

import hmac
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from services.runtime.vault import token_hash
from services.runtime.web.problems import Refused

#: What a key may do; a key has one or more.
SCOPES = {
    "publish": "publish events",
    "read": "read events, deliveries and subscribers",
    "registry": "add and change subscribers and subscriptions",
    "operate": "retry and replay deliveries, requeue dead letters",
}
KEY_PREFIX = "omr_"
_bearer = HTTPBearer(auto_error=False, description="An API key; make one with `omroeper apikey create`")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A known key: its name for the records, and its scopes."""

    name: str
    scopes: frozenset[str]


#: Finds a live key by the SHA-256 of what was sent.
Lookup = Callable[[bytes], Awaitable[ApiKey | None]]


def new_key() -> str:
    """Make an API key with 256 random bits; the prefix lets scanners recognise a leaked one."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


class Guard:
    """Lets requests in by their key."""

    def __init__(self, lookup: Lookup, *, bootstrap_key: str = "") -> None:
        self._lookup = lookup
        self._bootstrap = token_hash(bootstrap_key) if bootstrap_key else b""

    def needs(self, *scopes: str) -> Any:
        """Make a dependency that lets in keys with any of these scopes, and gives the ApiKey."""

        async def check(
            credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
        ) -> ApiKey:
            return await self._check(credentials, scopes)

        return Depends(check)

    async def _check(self, credentials: HTTPAuthorizationCredentials | None, scopes: Sequence[str]) -> ApiKey:
        if credentials is None:
            raise Refused(401, "This needs an API key: send `Authorization: Bearer KEY`.")
        key = await self._known(token_hash(credentials.credentials))
        if key is None:
            raise Refused(401, "This API key is not known, or was revoked.")
        if not key.scopes.intersection(scopes):
            raise Refused(403, f"This API key may not do this; it needs the scope {' or '.join(scopes)}.")
        return key

    async def _known(self, digest: bytes) -> ApiKey | None:
        # Digests of high-entropy keys are compared, so timing tells nothing about a key.
        if self._bootstrap and hmac.compare_digest(digest, self._bootstrap):
            return ApiKey("bootstrap", frozenset(SCOPES))
        return await self._lookup(digest)
