"""`/portal/sign-in`: a link by mail instead of a password.

Rules:
1. Known and unknown addresses get the same answer, after the same work.
2. A link works once, for a quarter of an hour. Opening it changes nothing, since mail scanners open links;
   the button on its page signs in.
3. How often links are asked for is limited by address, by network and in all; what is beyond leaves no trace.
4. Whoever signs in gets a new session; the one before it has ended.
"""

import hmac
from datetime import timedelta
from uuid import UUID

from fastapi import APIRouter, Response

from services.domain.network import network_of
from services.runtime.database import Connection
from services.runtime.vault import token_hash
from services.storage import letters, people, sessions
from services.storage.letters import Letter
from services.subscribers.portal.fields import read_address
from services.subscribers.portal.visits import SIGN_IN, Anybody, Elsewhere, Visit, new_secret

#: How many links may be asked for within an hour.
PER_ADDRESS, PER_NETWORK, OVER_ALL = 5, 30, 600
_AGAIN = {"Retry-After": "3600"}


def add(routes: APIRouter) -> None:
    """Add the pages by which people come in and go."""
    _ask(routes)
    _enter(routes)
    _choose(routes)
    _leave(routes)


def _ask(routes: APIRouter) -> None:
    @routes.get(SIGN_IN)
    async def ask_address(visit: Anybody) -> Response:
        if visit.row is not None:
            raise Elsewhere("/portal")
        return visit.page("sign_in", value="", sent=visit.request.query_params.get("done") == "sent")

    @routes.post(SIGN_IN)
    async def send_link(visit: Anybody) -> Response:
        email = read_address(visit.form["email"])
        if email is None:
            wrong = visit.speech.gettext("Enter an e-mail address, such as info@incubator.example.")
            return visit.page(
                "sign_in", 422, errors={"email": wrong}, value=visit.form["email"][:254], sent=False
            )
        if not await visit.change(lambda connection: _letter(connection, visit, email.lower())):
            answer = visit.page("errors/too_often", 429)
            answer.headers.update(_AGAIN)
            return answer
        return visit.to(f"{SIGN_IN}?done=sent")


def _enter(routes: APIRouter) -> None:
    @routes.get(SIGN_IN + "/{token}")
    async def show_link(token: str, visit: Anybody) -> Response:
        email = await visit.read(lambda connection: sessions.link(connection, token_hash(token)))
        if email is None:
            return visit.page("errors/link", 410)
        return visit.page("sign_in_link", email=email)

    @routes.post(SIGN_IN + "/{token}")
    async def use_link(token: str, visit: Anybody) -> Response:
        session = new_secret()
        if not await visit.change(lambda connection: _sign_in(connection, visit, token, session)):
            return visit.page("errors/link", 410)
        answer = visit.to("/portal")
        visit.site.cookies.set_session(answer, session)
        return answer


def _choose(routes: APIRouter) -> None:
    @routes.get("/portal/choose")
    async def show_choices(visit: Anybody) -> Response:
        if visit.row is None:
            raise Elsewhere(SIGN_IN)
        choices = await visit.read(lambda c: people.who_may_sign_in(c, visit.me["email"]))
        return visit.page("choose", choices=choices)

    @routes.post("/portal/choose")
    async def choose(visit: Anybody) -> Response:
        if visit.row is None:
            raise Elsewhere(SIGN_IN)
        try:
            wanted = UUID(visit.form["subscriber"])
        except ValueError:
            raise Elsewhere("/portal/choose") from None
        chosen = await visit.change(lambda c: sessions.choose(c, token_hash(visit.token), wanted))
        return visit.to("/portal" if chosen else "/portal/choose")


def _leave(routes: APIRouter) -> None:
    @routes.post("/portal/sign-out")
    async def sign_out(visit: Anybody) -> Response:
        await visit.change(lambda connection: sessions.end(connection, token_hash(visit.token)))
        return _gone(visit)

    @routes.post("/portal/sign-out-everywhere")
    async def sign_out_everywhere(visit: Anybody) -> Response:
        if visit.row is not None:
            await visit.change(lambda connection: sessions.end_all(connection, visit.me["email"]))
        return _gone(visit)


def _gone(visit: Visit) -> Response:
    answer = visit.to(f"{SIGN_IN}?done=signed-out")
    visit.site.cookies.forget_session(answer)
    return answer


async def _letter(connection: Connection, visit: Visit, email: str) -> bool:
    """Have a link sent, if somebody by this address may sign in; False when it was asked for too often.

    For an unknown address all is done as well, and then taken back: a clock does not tell who is known.
    """
    if not await sessions.count_in(connection, _limits(visit, email)):
        return False
    known = await people.who_may_sign_in(connection, email)
    sending = connection.transaction()
    await sending.start()
    token = new_secret()
    await sessions.add_link(connection, token_hash(token), email)
    await letters.add(connection, visit.site.vault, _link_letter(visit, email, token))
    await (sending.commit() if known else sending.rollback())
    return True


def _link_letter(visit: Visit, email: str, token: str) -> Letter:
    return Letter(
        kind="sign_in",
        recipient=email,
        language=visit.speech.code,
        shown={
            "link": f"{visit.site.home}{SIGN_IN}/{token}",
            "minutes": sessions.LINK_LASTS // timedelta(minutes=1),
        },
        useful_for=sessions.LINK_LASTS,
    )


def _limits(visit: Visit, email: str) -> dict[str, int]:
    client = visit.request.client
    key = visit.site.settings.signing_keys("sign-in counts")[0]
    return {
        "everybody": OVER_ALL,
        f"network {network_of(client.host if client else '')}": PER_NETWORK,
        f"address {hmac.digest(key, email.encode(), 'sha256').hex()}": PER_ADDRESS,
    }


async def _sign_in(connection: Connection, visit: Visit, token: str, session: str) -> bool:
    email = await sessions.sign_in(connection, token_hash(token), token_hash(session))
    if email is not None and visit.token:
        await sessions.end(connection, token_hash(visit.token))
    return email is not None
