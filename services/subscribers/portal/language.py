"""`/portal/language`: reads on in another language, and remembers it."""

from fastapi import APIRouter, Response

from services.runtime.language import languages
from services.storage import sessions
from services.subscribers.portal.visits import Anybody

_OURS = ("/portal", "/u/")


def add(routes: APIRouter) -> None:
    """Add the switch."""

    @routes.post("/portal/language")
    async def speak(visit: Anybody) -> Response:
        answer = visit.to(_back(visit.form["to"]))
        code = visit.form["language"]
        if code in languages():
            visit.site.cookies.set_language(answer, code)
            if visit.row is not None and visit.row["subscriber_id"] is not None:
                me = visit.row
                await visit.change(lambda c: sessions.speak(c, visit.subscriber_id, me["email"], code))
        return answer


def _back(path: str) -> str:
    """Go back to a page of ours, and to nobody else's.

    >>> _back("/portal/people"), _back("//evil.example"), _back("/portal/../\\\\evil.example")
    ('/portal/people', '/portal', '/portal')
    """
    plain = path.isascii() and path.isprintable() and not {"\\", " "} & set(path) and "//" not in path
    return path if plain and ".." not in path and path.startswith(_OURS) else "/portal"
