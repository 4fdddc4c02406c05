"""`/v1/subscribers/{slug}/feed-token`: makes the secret address of a subscriber's own feeds."""

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from services.runtime.database import Connection, Pool
from services.runtime.settings import Settings
from services.runtime.vault import Vault, new_token, token_hash
from services.runtime.web.auth import Guard
from services.storage import feeds
from services.subscribers import answers
from services.subscribers.known import held
from services.subscribers.transaction import transact


class FeedToken(BaseModel):
    """A new token, this once."""

    token: str
    url: str = Field(description="The Atom feed; the other formats are beside it")


def add(routes: APIRouter, pool: Pool, vault: Vault, guard: Guard, settings: Settings) -> None:
    """Add the route that makes a token."""

    @routes.post(
        "/v1/subscribers/{slug}/feed-token",
        dependencies=[guard.needs("registry")],
        responses=answers.problems(404),
    )
    async def make_feed_token(slug: str, response: Response) -> FeedToken:
        """Make the token of a subscriber's feeds; one made before is unknown from now on."""
        response.headers["Cache-Control"] = "no-store"
        token = await transact(pool, lambda connection: _renew(connection, vault, slug))
        home = settings.public_url.rstrip("/")
        return FeedToken(token=token, url=f"{home}/feeds/{token}/opportunities.atom")


async def _renew(connection: Connection, vault: Vault, slug: str) -> str:
    subscriber = await held(connection, slug)
    token = new_token()
    await feeds.set_token(connection, subscriber["id"], token_hash(token), vault.seal(token))
    return token
