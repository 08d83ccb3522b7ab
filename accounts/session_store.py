"""Sessions in the database, under a digest of the token that the browser's cookie holds: who reads the table enters none.

``session_key`` is that digest wherever it is asked for or kept; the token is known to the cookie alone, and to the request
that brings it.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Self

from django.conf import settings
from django.contrib.sessions import middleware
from django.contrib.sessions.backends import db
from django.http import HttpRequest, HttpResponse

# As long as the columns that keep it.
_KEY_LENGTH = 40


def key_of(token: str) -> str:
    """Return the key under which the session of a token is kept."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()[:_KEY_LENGTH]


class SessionStore(db.SessionStore):
    """One session; ``token`` is what the cookie of its browser shall hold."""

    token = ""

    @classmethod
    def of_token(cls, token: str | None) -> Self:
        """Return the session that a cookie's token opens, a new one without a token."""
        store = cls(key_of(token) if token else None)
        store.token = token or ""
        return store

    def _get_new_session_key(self) -> str:
        self.token = secrets.token_hex(32)
        return key_of(self.token)

    async def _aget_new_session_key(self) -> str:
        return self._get_new_session_key()


class SessionMiddleware(middleware.SessionMiddleware):
    """Django's, but that the cookie holds the token instead of the key."""

    def process_request(self, request: HttpRequest) -> None:
        """Attach the session that the cookie opens."""
        request.session = SessionStore.of_token(request.COOKIES.get(settings.SESSION_COOKIE_NAME))

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """Save the session, and hand its token over where Django hands over the key."""
        super().process_response(request, response)
        sent = response.cookies.get(settings.SESSION_COOKIE_NAME)
        session = request.session
        if sent is not None and isinstance(session, SessionStore) and sent.value == session.session_key:
            response.cookies[settings.SESSION_COOKIE_NAME] = session.token
        return response
