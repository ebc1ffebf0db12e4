"""The form that asks for the token: one page that needs no other file, for there is no way to one yet."""

import base64
import hashlib
import re
from pathlib import Path
from string import Template

from aiohttp import web

__all__ = ["login_form"]

_PAGE = (Path(__file__).parent / "login.html").read_text(encoding="utf-8")


def _policy() -> str:
    style = re.search(r"<style>(.*?)</style>", _PAGE, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256((style[1] if style else "").encode()).digest()).decode()
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    )


_POLICY = _policy()


def login_form(refused: bool) -> web.Response:
    """Return the form; `refused` says that a wrong token was given."""
    text = Template(_PAGE).substitute(message="This is not the token." if refused else "")
    headers = {"Content-Security-Policy": _POLICY}
    return web.Response(status=401, text=text, content_type="text/html", headers=headers)
