"""So many uploads are taken in at once, and so many bytes; the others wait their turn, but not for ever."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from settled import settled
from studio import until

from app.enrolment import Photo, Refusal
from app.settings import Settings
from app.tables.gallery import Gallery
from app.web import form as module
from app.web.form import Uploads
from app.web.people import PeopleViews

SETTINGS = Settings(max_uploads=2, upload_bytes=1000)


class Desk:
    """Takes in what it is sent, one request after the other as a test lets it."""

    def __init__(self) -> None:
        self.uploads = Uploads(SETTINGS)
        #: Sizes of the requests that were admitted, in order.
        self.admitted: list[int] = []
        #: Requests that have come so far.
        self.came = 0
        self.may_end = asyncio.Semaphore(0)

    async def take(self, request: web.Request) -> web.Response:
        self.came += 1
        async with self.uploads.admit(request) as room:
            self.admitted.append(room)
            await self.may_end.acquire()
            if request.query.get("fails"):
                raise web.HTTPBadRequest
            return web.Response(body=await request.read())

    async def until_admitted(self, count: int) -> None:
        await until(lambda: len(self.admitted) == count)

    def send(self, client: Any, size: int, **query: str) -> "asyncio.Task[Any]":
        return asyncio.create_task(client.post("/take", data=b"x" * size, params=query))


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
async def client(desk: Desk, serve: Any) -> Any:
    return await serve([web.post("/take", desk.take)])


async def test_only_so_many_are_taken_in_at_once(client: Any, desk: Desk) -> None:
    sent = [desk.send(client, 10) for _ in range(5)]
    for done in range(4):
        await desk.until_admitted(done + 2)
        assert (desk.uploads.admitted, desk.uploads.held) == (2, 20)
        desk.may_end.release()
    desk.may_end.release()
    assert [response.status for response in await asyncio.gather(*sent)] == [200] * 5
    assert (desk.uploads.admitted, desk.uploads.held) == (0, 0)


async def test_only_so_many_bytes_are_taken_in_at_once(client: Any, desk: Desk) -> None:
    first = desk.send(client, 600)
    await until(lambda: desk.admitted == [600])
    second = desk.send(client, 500)
    await until(lambda: desk.came == 2)
    # Neither does what there would be room for go past it.
    third = desk.send(client, 100)
    await until(lambda: desk.came == 3)
    await settled()
    assert desk.admitted == [600]
    for _ in range(3):
        desk.may_end.release()
    assert [(await sent).status for sent in (first, second, third)] == [200] * 3
    assert desk.admitted == [600, 500, 100]


async def test_one_alone_may_take_all_there_is_and_no_more(client: Any, desk: Desk) -> None:
    desk.may_end.release()
    assert (await desk.send(client, 1000)).status == 200
    refused = await desk.send(client, 1001)
    assert (refused.status, (await refused.json())["reason"]) == (413, "too-large")
    assert desk.admitted == [1000]


@pytest.mark.parametrize("packed", [False, True])
async def test_who_does_not_say_what_it_takes_comes_alone(client: Any, desk: Desk, packed: bool) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"x" * 10

    desk.may_end.release()
    more: dict[str, Any] = {"data": b"x" * 10, "headers": {"Content-Encoding": "identity"}}
    response = await client.post("/take", **(more if packed else {"data": body()}))
    assert (response.status, desk.admitted) == (200, [1000])


async def test_who_waits_too_long_is_told_to_come_again(
    client: Any, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.1)
    sent = [desk.send(client, 10) for _ in range(2)]
    await desk.until_admitted(2)
    for _ in range(3):
        refused = await desk.send(client, 10)
        assert (refused.status, (await refused.json())["reason"]) == (503, "busy")
        assert int(refused.headers["Retry-After"]) > 0
    for _ in range(3):
        desk.may_end.release()
    assert [(await one).status for one in sent] == [200, 200]
    assert (await desk.send(client, 10)).status == 200


async def test_one_that_fails_leaves_its_place(client: Any, desk: Desk) -> None:
    for _ in range(5):
        desk.may_end.release()
        assert (await desk.send(client, 900, fails="yes")).status == 400
    assert (desk.uploads.admitted, desk.uploads.held) == (0, 0)


class Examiner:
    """Stands where the nets stand: notes what is held while a photograph is looked at."""

    def __init__(self) -> None:
        self.views: PeopleViews
        self.held: list[tuple[int, int]] = []

    async def read(self, photo: Photo, face: int | None) -> Refusal:
        uploads = self.views._uploads
        self.held.append((uploads.admitted, uploads.held))
        await asyncio.sleep(0.01)
        return Refusal(photo.file, "no-face", "no face was found")


async def test_many_enrolments_at_once_are_all_answered_and_never_hold_more(serve: Any) -> None:
    settings = Settings(max_uploads=3, upload_bytes=250_000)
    examiner: Any = Examiner()

    async def send(_: Any) -> None:
        raise AssertionError("nobody is to be enrolled")

    examiner.views = PeopleViews(settings, Gallery("net@0", 0.4, 0.05), examiner, send)
    client = await serve(examiner.views.routes(), settings)

    async def enrol() -> int:
        form = aiohttp.FormData({"name": "Ada"})
        form.add_field("photo", b"x" * 100_000, filename="a.jpg")
        response = await client.post("/people", data=form)
        return int(response.status)

    assert await asyncio.gather(*(enrol() for _ in range(20))) == [422] * 20
    assert len(examiner.held) == 20
    assert max(admitted for admitted, _ in examiner.held) == 2
    assert all(100_000 * admitted < held < 250_000 for admitted, held in examiner.held)
    assert (examiner.views._uploads.admitted, examiner.views._uploads.held) == (0, 0)
