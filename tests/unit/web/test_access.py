"""Who may ask: everybody on this machine, or who has the token."""

import asyncio
import base64
import hashlib
import io
from typing import Any

import pytest
from aiohttp import web
from machine import patience

from app.settings import Settings
from app.web import access as module

TOKEN = 'a"quite;secret,token='
BEARER = {"Authorization": f"Bearer {TOKEN}"}
HTML = {"Accept": "text/html"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}

ROUTES = [
    ("GET", "/"), ("GET", "/static/page.js"), ("GET", "/thing"), ("POST", "/thing"), ("DELETE", "/thing"),
    ("GET", "/nowhere"), ("PATCH", "/thing"), ("GET", "/healthz/"), ("POST", "/login"), ("GET", "/login"),
]  # fmt: skip


async def answer(_: web.Request) -> web.Response:
    return web.json_response({"said": True})


THINGS = [
    web.get("/healthz", answer), web.get("/thing", answer), web.post("/thing", answer),
    web.delete("/thing", answer),
]  # fmt: skip


@pytest.fixture
async def locked(serve: Any) -> Any:
    return await serve(THINGS, Settings(token=TOKEN))


@pytest.fixture
async def local(serve: Any) -> Any:
    return await serve(THINGS)


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize(
    "headers",
    [
        {}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}, {"Authorization": TOKEN},
        {"Cookie": "onlooker_token=wrong"}, {"Cookie": "onlooker_token="},
        {"Cookie": f"onlooker_token={TOKEN}"},
        *({"Authorization": f"Bearer {TOKEN[:length]}"} for length in (0, 1, 9, len(TOKEN) - 1)),
        {"Authorization": f"Bearer {TOKEN}="}, {"Authorization": f"Bearer {TOKEN}{TOKEN}"},
        {"Authorization": "Bearer \xff"},
    ],
)  # fmt: skip
async def test_without_the_token_nothing_is_told(
    locked: Any, method: str, path: str, headers: dict[str, str]
) -> None:
    response = await locked.request(method, path, headers=headers)
    assert response.status == 401
    assert (await response.json())["reason"] == "token-needed"


@pytest.mark.parametrize("cut", [slice(0, 63), slice(0, 1), slice(1, 64)], ids=str)
async def test_a_part_of_the_cookie_is_not_the_cookie(locked: Any, cut: slice) -> None:
    response = await locked.post("/login", data={"token": TOKEN}, allow_redirects=False)
    cookie = response.cookies["onlooker_token"].value
    assert len(cookie) == 64
    # The client would send it by itself from here on.
    locked.session.cookie_jar.clear()
    for given, status in ((cookie, 200), (cookie[cut], 401), (cookie + "0", 401)):
        response = await locked.get("/thing", headers={"Cookie": f"onlooker_token={given}"})
        assert response.status == status


async def test_the_health_check_needs_no_token_and_no_host(locked: Any) -> None:
    response = await locked.get("/healthz", headers={"Host": "worker.cluster"})
    assert response.status == 200


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_token_in_a_header(locked: Any, scheme: str) -> None:
    response = await locked.get("/thing", headers={"Authorization": f"{scheme} {TOKEN}"})
    assert response.status == 200


async def test_with_a_token_any_host_is_answered(locked: Any) -> None:
    assert (await locked.get("/thing", headers={**BEARER, "Host": "cameras.example"})).status == 200


async def test_a_browser_logs_in_and_has_a_cookie(locked: Any) -> None:
    response = await locked.get("/", headers=HTML)
    page = await response.text()
    assert (response.status, response.content_type) == (401, "text/html")
    assert 'action="/login"' in page
    assert "not the token" not in page

    origin = {"Origin": str(locked.make_url("")).rstrip("/")}
    response = await locked.post(
        "/login", data={"token": f" {TOKEN} "}, headers=HTML | origin, allow_redirects=False
    )
    assert (response.status, response.headers["Location"]) == (303, "/")
    cookie = response.cookies["onlooker_token"]
    assert cookie["httponly"] and cookie["samesite"] == "Strict"
    assert not cookie["secure"]
    # For 30 days.
    assert cookie["max-age"] == "2592000"
    # Who finds the cookie cannot log in elsewhere with it.
    assert TOKEN not in cookie.value
    assert (await locked.get("/people", headers={"Authorization": f"Bearer {cookie.value}"})).status == 401

    assert (await locked.get("/thing")).status == 200
    assert (await locked.get("/", headers=HTML)).status == 200


@pytest.mark.parametrize("proto", ["https", "HTTPS"])
async def test_behind_https_the_cookie_is_for_https_alone(locked: Any, proto: str) -> None:
    headers = HTML | {"X-Forwarded-Proto": proto}
    response = await locked.post("/login", data={"token": TOKEN}, headers=headers, allow_redirects=False)
    assert response.cookies["onlooker_token"]["secure"]


@pytest.mark.parametrize(
    "more",
    [
        {"data": {"token": "wrong"}},
        {"data": {}},
        {"data": b"\xff\xfe", "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
        {"data": b"token=x", "headers": {"Content-Type": "application/x-www-form-urlencoded; charset=nope"}},
        {"data": b"x", "headers": {"Content-Type": "multipart/form-data"}},
        {"data": b"x", "headers": {"Content-Type": "multipart/form-data; boundary=b"}},
        {"data": b"x", "headers": {"Content-Type": "application/json"}},
    ],
)
async def test_a_wrong_token_shows_the_form_again(locked: Any, more: dict[str, Any]) -> None:
    headers = HTML | more.pop("headers", {})
    response = await locked.post("/login", **more, headers=headers, allow_redirects=False)
    assert response.status == 401
    assert "This is not the token" in await response.text()
    assert "onlooker_token" not in response.cookies


@pytest.mark.parametrize(
    "head",
    [
        b"bad header\r\n",
        b"X-Long: " + b"x" * 9000 + b"\r\n",
        b'Content-Disposition: form-data; name="token"\r\nContent-Transfer-Encoding: bogus\r\n',
    ],
)
async def test_who_has_no_token_puts_nothing_into_the_log(
    locked: Any, head: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    body = b"--b\r\n" + head + b"\r\nx\r\n--b--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    response = await locked.post("/login", data=body, headers=headers)
    assert (response.status, (await response.json())["reason"]) == (401, "token-needed")
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_a_huge_login_is_refused(locked: Any) -> None:
    response = await locked.post("/login", data=io.BytesIO(b"token=" + b"x" * 2**21), headers=FORM)
    assert response.status == 413
    assert (await response.json())["reason"] == "too-large"


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:6066", "127.0.0.1", "127.0.0.1:6066", "[::1]", "[::1]:6066"]
)
async def test_without_a_token_loopback_names_are_answered(local: Any, host: str) -> None:
    assert (await local.get("/thing", headers={"Host": host})).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil",
        "192.168.0.7:6066",
        "127.0.0.1@evil",
        "[::1",
        "",
    ],
)
async def test_without_a_token_a_rebound_name_is_refused(local: Any, host: str) -> None:
    response = await local.get("/thing", headers={"Host": host})
    assert response.status == 403
    assert (await response.json())["reason"] == "foreign-host"


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "http://[", "x"])
@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_changes_from_another_origin_are_refused(local: Any, method: str, origin: str) -> None:
    response = await local.request(method, "/thing", headers={"Origin": origin})
    assert response.status == 403
    assert (await response.json())["reason"] == "foreign-origin"


async def test_a_token_does_not_open_the_door_to_another_origin(locked: Any) -> None:
    response = await locked.post("/thing", headers={**BEARER, "Origin": "http://evil.example"})
    assert response.status == 403


async def test_a_socket_from_another_origin_is_refused(local: Any) -> None:
    headers = {"Origin": "http://evil.example", "Upgrade": "WebSocket"}
    assert (await local.get("/thing", headers=headers)).status == 403


async def test_our_own_page_may_change_things(local: Any) -> None:
    origin = str(local.make_url("")).rstrip("/")
    assert (await local.post("/thing", headers={"Origin": origin})).status == 200
    assert (await local.post("/thing")).status == 200


@pytest.mark.parametrize("path", ["/", "/thing", "/nowhere", "/static/page.js"])
async def test_every_answer_carries_the_headers(local: Any, path: str) -> None:
    headers = (await local.get(path)).headers
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"


async def test_the_login_form_may_load_nothing(locked: Any) -> None:
    response = await locked.get("/", headers=HTML)
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    # But for its own style, as it is in the page.
    style = (await response.text()).split("<style>")[1].split("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}';" in policy


@pytest.mark.parametrize(("method", "path"), [("GET", "/login"), ("POST", "/thing"), ("POST", "/")])
async def test_only_who_logs_in_is_told_of_a_wrong_token(locked: Any, method: str, path: str) -> None:
    response = await locked.request(method, path, data={"token": TOKEN}, headers=HTML, allow_redirects=False)
    assert (response.status, "onlooker_token" in response.cookies) == (401, False)
    assert "not the token" not in await response.text()


async def test_a_login_that_never_arrives_is_not_waited_for(
    locked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LOGIN_SECONDS", 0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", locked.port)
    lines = ["POST /login HTTP/1.1", "Host: localhost", f"Content-Type: {FORM['Content-Type']}"]
    writer.write("\r\n".join([*lines, "Content-Length: 9", "", "t"]).encode())
    async with patience(20):
        answer = (await reader.readuntil(b"}")).decode()
    writer.close()
    assert answer.startswith("HTTP/1.1 408 ")
    assert '"reason": "too-slow"' in answer


async def test_a_login_takes_no_more_than_a_token_needs(locked: Any) -> None:
    """16 KiB, with the name of the field."""
    response = await locked.post("/login", data={"token": "x" * (16 * 1024 - len("token="))})
    assert (response.status, (await response.json())["reason"]) == (401, "token-needed")
    response = await locked.post("/login", data={"token": "x" * (16 * 1024 - len("token=") + 1)})
    assert (response.status, (await response.json())["reason"]) == (413, "too-large")
