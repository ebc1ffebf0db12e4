"""Who may ask: a token, or this machine alone."""

import asyncio
import base64
import hashlib
import hmac
import re
from pathlib import Path
from string import Template
from urllib.parse import urlsplit

from aiohttp import web

from app.settings import Settings, is_loopback
from app.web.errors import BROKEN_FORM, Handler, api_error

__all__ = ["Access"]

_COOKIE = "onlooker_token"
#: The cookie is made from the token for this purpose alone: who finds it does not have the token.
_PURPOSE = b"onlooker: cookie of a browser that has logged in"
#: What a form with the token takes at most.
_LOGIN_BYTES, _LOGIN_SECONDS = 16 * 1024, 10.0
_MONTH = 30 * 24 * 3600
_SAFE = {"GET", "HEAD", "OPTIONS"}

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob: data:; connect-src 'self'; style-src 'self'; "
        "script-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    # Not "no-referrer": with that, browsers send the login form with the origin "null".
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def _policy(page: str) -> str:
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256((style[1] if style else "").encode()).digest()).decode()
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    )


#: The form that asks for the token: one page that needs no other file, for there is no way to one yet.
_LOGIN_PAGE = (Path(__file__).parent / "login.html").read_text(encoding="utf-8")
_LOGIN_POLICY = _policy(_LOGIN_PAGE)


class Access:
    """The rules of the door.

    With a token, every route but the health check needs it. Without one the server listens on
    loopback, and a web page from elsewhere must not reach it through the visitor's browser: the host
    must be a loopback name (no DNS rebinding), and changes must come from our own page.
    """

    def __init__(self, settings: Settings) -> None:
        self._token = settings.token
        self._cookie = hmac.new((settings.token or "").encode(), _PURPOSE, hashlib.sha256).hexdigest()

    @web.middleware
    async def check(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let a request through, or refuse it."""
        if request.path != "/healthz":
            self._check_origin(request)
            if self._token and not self._known(request):
                return await self._refuse(request)
        return await handler(request)

    async def protect(self, request: web.Request, response: web.StreamResponse) -> None:
        """Add the headers that keep a browser from doing more than the page needs."""
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)

    async def login(self, request: web.Request) -> web.StreamResponse:
        """Set the cookie of somebody who gave the token; `check` has looked at it already."""
        response = web.Response(status=303, headers={"Location": "/"})
        response.set_cookie(
            _COOKIE,
            self._cookie,
            httponly=True,
            samesite="Strict",
            max_age=_MONTH,
            secure=request.secure or request.headers.get("X-Forwarded-Proto", "").lower() == "https",
        )
        return response

    def _check_origin(self, request: web.Request) -> None:
        host = _hostname(f"//{request.host}")
        if not self._token and not (host and is_loopback(host)):
            raise api_error(403, "foreign-host", "without a token, only loopback names are answered")
        origin = request.headers.get("Origin")
        crosses = request.method not in _SAFE or request.headers.get("Upgrade", "").lower() == "websocket"
        if origin and crosses and origin.partition("://")[2] != request.host:
            raise api_error(403, "foreign-origin", "changes are taken from Onlooker's own page only")

    def _known(self, request: web.Request) -> bool:
        scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self._matches(bearer.strip())
        return _same(request.cookies.get(_COOKIE, ""), self._cookie)

    def _matches(self, given: str) -> bool:
        return _same(given, self._token or "")

    async def _refuse(self, request: web.Request) -> web.StreamResponse:
        tries = request.method == "POST" and request.path == "/login"
        if tries and self._matches(await _given(request)):
            return await self.login(request)
        if "text/html" in request.headers.get("Accept", ""):
            return _login_form(refused=tries)
        raise api_error(401, "token-needed", "give the token: Authorization: Bearer TOKEN")


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())


async def _given(request: web.Request) -> str:
    """Return the token of a login form; nothing where the form cannot be read.

    Raises:
        HTTPException: it is too large, or arrives too slowly.
    """
    try:
        # Whoever sends it has shown nothing yet.
        async with asyncio.timeout(_LOGIN_SECONDS):
            token = (await request.clone(client_max_size=_LOGIN_BYTES).post()).get("token", "")
    except TimeoutError:
        raise api_error(408, "too-slow", f"the form did not arrive within {_LOGIN_SECONDS:g} s") from None
    except BROKEN_FORM:
        return ""
    return token.strip() if isinstance(token, str) else ""


def _hostname(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def _login_form(refused: bool) -> web.Response:
    """Return the form; `refused` says that a wrong token was given."""
    text = Template(_LOGIN_PAGE).substitute(message="This is not the token." if refused else "")
    headers = {"Content-Security-Policy": _LOGIN_POLICY}
    return web.Response(status=401, text=text, content_type="text/html", headers=headers)
