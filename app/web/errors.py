"""Errors of the web side: a status, a reason for machines, a text for people."""

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

__all__ = ["BROKEN_FORM", "Handler", "api_error", "busy_error", "errors_as_json"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_log = logging.getLogger(__name__)

#: What aiohttp raises for broken forms, by place of the damage.
BROKEN_FORM = (ValueError, LookupError, RuntimeError, HttpProcessingError)

_STATUSES: dict[int, Callable[..., web.HTTPError]] = {
    400: web.HTTPBadRequest,
    401: web.HTTPUnauthorized,
    403: web.HTTPForbidden,
    404: web.HTTPNotFound,
    408: web.HTTPRequestTimeout,
    409: web.HTTPConflict,
    413: partial(web.HTTPRequestEntityTooLarge, 0),
    415: web.HTTPUnsupportedMediaType,
    422: web.HTTPUnprocessableEntity,
    503: web.HTTPServiceUnavailable,
}
#: Seconds after which a request that there was no room for may come again.
_RETRY_AFTER = 5
#: Reasons for what aiohttp itself refuses.
_REASONS = {404: "not-found", 405: "method-not-allowed", 413: "too-large"}


def api_error(status: int, reason: str, detail: str, **more: Any) -> web.HTTPException:
    """Return an error to raise, with a JSON body."""
    body = {"reason": reason, "detail": detail, **more}
    return _STATUSES[status](text=json.dumps(body), content_type="application/json")


def busy_error(reason: str, detail: str) -> web.HTTPException:
    """Return an error to raise where there is no room for a request now, but may soon be."""
    error = api_error(503, reason, detail)
    error.headers["Retry-After"] = str(_RETRY_AFTER)
    return error


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every error with a JSON body; what nobody foresaw is logged and says nothing.

    An answer that has begun cannot become an error: its connection is closed.
    """
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400 or error.content_type == "application/json":
            raise
        allowed = {name: value for name, value in error.headers.items() if name == "Allow"}
        return _answer(error.status, _REASONS.get(error.status, "bad-request"), error.reason, allowed)
    except Exception as error:
        if request.transport is not None or not isinstance(error, ConnectionError):
            _log.exception("%s %s", request.method, request.path)
        if request.transport is not None and request.writer.output_size:
            request.transport.abort()
        return _answer(500, "internal-error", "something went wrong; the worker's log says what")


def _answer(status: int, reason: str, detail: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.json_response({"reason": reason, "detail": detail}, status=status, headers=headers)
