"""The portal's cookies: who is signed in, whose forms these are, in which language.

Over https their names begin with `__Host-`: no other host can set them, and no plain http connection.
Source: RFC 6265bis section 4.1.3.2.
"""

from dataclasses import dataclass

from fastapi import Request, Response

from services.storage.sessions import SESSION_LASTS

_YEAR_SECONDS = 365 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Cookies:
    """Reads and sets them; `secure` where people reach us by https."""

    secure: bool

    def get(self, request: Request, name: str) -> str:
        """Read a cookie; empty when it is not there."""
        return request.cookies.get(self._name(name), "")

    def set(self, response: Response, name: str, value: str, seconds: int | None = None) -> None:
        """Set a cookie for so long; None: until the browser is closed."""
        response.set_cookie(
            self._name(name),
            value,
            max_age=seconds,
            path="/",
            secure=self.secure,
            httponly=True,
            samesite="lax",
        )

    def set_session(self, response: Response, token: str) -> None:
        """Set the session's token; how long it holds is for the database to say."""
        self.set(response, "session", token, int(SESSION_LASTS.total_seconds()))

    def set_language(self, response: Response, code: str) -> None:
        """Keep the language for a year."""
        self.set(response, "language", code, _YEAR_SECONDS)

    def forget_session(self, response: Response) -> None:
        """Take the session's cookie back."""
        self.set(response, "session", "", 0)

    def _name(self, name: str) -> str:
        return f"{'__Host-' if self.secure else ''}omroeper_{name}"
