"""The enrolment form is read with every limit kept, and whatever else is sent is a 4xx."""

import asyncio
import gzip
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from machine import patience

from app.enrolment import Photo
from app.settings import Settings
from app.web.form import EnrolmentForm, read_form

SETTINGS = Settings(max_photos=3, max_photo_bytes=1000, upload_seconds=1)
ROOM = 1500


def size(photo: Photo) -> int | None:
    return None if photo.data is None else len(photo.data)


@pytest.fixture
async def client(serve: Any) -> Any:
    async def read(request: web.Request) -> web.Response:
        form = await read_form(request, SETTINGS, ROOM)
        return web.json_response(
            {
                "id": form.person,
                "name": form.name,
                "photos": [(photo.file, size(photo)) for photo in form.photos],
                "faces": form.faces,
            }
        )

    return await serve([web.post("/read", read)])


def form(*fields: tuple[str, Any, str | None]) -> aiohttp.FormData:
    made = aiohttp.FormData(default_to_multipart=True)
    for name, value, file in fields:
        made.add_field(name, value, **({"filename": file} if file else {}))
    return made


async def send(client: Any, *fields: tuple[str, Any, str | None]) -> tuple[int, Any]:
    response = await client.post("/read", data=form(*fields))
    return response.status, await response.json()


async def test_a_whole_form(client: Any) -> None:
    assert await send(
        client, ("name", " Ada ", None), ("photo", b"12345", "a.jpg"), ("face", "1", None),
        ("photo", b"1" * 1000, "b.jpg"), ("face", "", None), ("id", "x", None),
    ) == (
        200,
        {"id": "x", "name": "Ada", "photos": [["a.jpg", 5], ["b.jpg", 1000]], "faces": [1, None]},
    )  # fmt: skip


@pytest.mark.parametrize("name", ["山田　太郎", "Zoë  O'Neil", "Ada\nLovelace"])
async def test_spaces_of_any_kind_are_one_space(client: Any, name: str) -> None:
    status, body = await send(client, ("name", name, None), ("photo", b"1", "a"))
    assert (status, body["name"]) == (200, " ".join(name.split()))


async def test_a_photograph_without_a_name(client: Any) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="photo"\r\n\r\n123\r\n--b--\r\n'
    response = await client.post(
        "/read", data=head, headers={"Content-Type": "multipart/form-data; boundary=b"}
    )
    assert (await response.json())["photos"] == [["photo 1", 3]]


async def test_a_photograph_that_is_too_large_is_marked(client: Any) -> None:
    status, body = await send(client, ("photo", b"1" * 300_000, "big"), ("photo", b"1", "small"))
    assert (status, body["photos"]) == (200, [["big", None], ["small", 1]])


async def test_photographs_that_take_more_than_there_is_room_for(client: Any) -> None:
    within = [("photo", b"1" * 900, "a"), ("photo", b"1" * 600, "b")]
    status, body = await send(client, *within)
    assert (status, body["photos"]) == (200, [["a", 900], ["b", 600]])
    status, body = await send(client, *within, ("photo", b"1", "c"))
    assert (status, body["reason"]) == (413, "too-large")


async def test_a_small_body_that_unpacks_to_more_than_there_is_room_for(client: Any) -> None:
    photos = b"".join(b"%s\r\n" % PART.replace(b"123", b"1" * 900) for _ in range(2))
    packed = gzip.compress(photos + b"--b--\r\n")
    headers = {"Content-Type": "multipart/form-data; boundary=b", "Content-Encoding": "gzip"}
    response = await client.post("/read", data=packed, headers=headers)
    assert len(packed) < 200
    assert (response.status, (await response.json())["reason"]) == (413, "too-large")


@pytest.mark.parametrize("beat", [b"", b"1"], ids=["not at all", "bit by bit"])
async def test_a_form_that_arrives_too_slowly(client: Any, beat: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    head = (
        "POST /read HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    )
    writer.write(head.encode() + PART)

    async def trickle() -> None:
        while True:
            writer.write(beat)
            await asyncio.sleep(0.05)

    trickling = asyncio.create_task(trickle())
    async with patience(20):
        answer = (await reader.readuntil(b"}")).decode()
    trickling.cancel()
    writer.close()
    assert answer.startswith("HTTP/1.1 408 ")
    assert '"reason": "too-slow"' in answer


PHOTO = ("photo", b"1", "a")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ([("name", "Ada", None)], "no-photo"),
        ([PHOTO] * 4, "too-many-photos"),
        ([("name", "", None), PHOTO], "bad-name"),
        ([("name", "x" * 101, None), PHOTO], "bad-name"),
        ([("name", "x" * 5000, None), PHOTO], "bad-name"),
        ([("name", "a\0b", None), PHOTO], "bad-name"),
        ([("name", "\u202eadA", None), PHOTO], "bad-name"),
        ([("name", b"\xff\xfe", "n"), PHOTO], "bad-request"),
        ([("face", "-1", None), PHOTO], "bad-face"),
        ([("face", "one", None), PHOTO], "bad-face"),
        ([("face", "1" * 2000, None), PHOTO], "bad-face"),
        ([*[("face", "0", None)] * 4, PHOTO], "bad-face"),
        ([("id", "x" * 2000, None), PHOTO], "bad-request"),
        ([("nonsense", "x", None), PHOTO], "bad-request"),
    ],
)
async def test_a_field_that_cannot_be_used(client: Any, fields: list[Any], reason: str) -> None:
    status, body = await send(client, *fields)
    assert (status, body["reason"]) == (400, reason)


@pytest.mark.parametrize(
    "kind", ["application/json", "application/x-www-form-urlencoded", "multipart/mixed", ""]
)
async def test_what_is_no_form(client: Any, kind: str) -> None:
    response = await client.post("/read", data=b"x", headers={"Content-Type": kind})
    assert (response.status, (await response.json())["reason"]) == (415, "not-multipart")


PART = b'--b\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\n123'


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("", PART + b"\r\n--b--\r\n"),
        ("; boundary=" + "b" * 100, PART),
        ("; boundary=b", b""),
        ("; boundary=b", b"nothing of a form"),
        ("; boundary=b", b"--b"),
        ("; boundary=b", b"--b\r\n"),
        ("; boundary=b", b"--b\r\nno header\r\n\r\n"),
        ("; boundary=b", b"--b\r\n\r\n123\r\n--b--\r\n"),
        ("; boundary=b", PART),
        ("; boundary=b", PART + b"\r\n--c--\r\n"),
        ("; boundary=b", b"--b\r\nX: " + b"y" * 100_000 + b"\r\n\r\n1\r\n--b--\r\n"),
        ("; boundary=b", b"--b\r\n" + b"X: y\r\n" * 5000 + b"\r\n1\r\n--b--\r\n"),
        ("; boundary=b", b'--b\r\nContent-Disposition: form-data; name="_charset_"\r\n\r\n' + b"x" * 99),
        ("; boundary=b", b'--b\r\nContent-Disposition: form-data; name="_charset_"\r\n\r\n\xff\r\n--b--\r\n'),
        ("; boundary=b", b"--b\r\nContent-Type: multipart/mixed\r\n\r\n--c\r\n--b--\r\n"),
        (
            "; boundary=b",
            b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\n1\r\n--c--\r\n--b--\r\n",
        ),
    ],
)  # fmt: skip
async def test_a_broken_form_is_a_bad_request(
    client: Any, kind: str, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    response = await client.post("/read", data=body, headers={"Content-Type": f"multipart/form-data{kind}"})
    assert response.status == 400, await response.text()
    assert (await response.json())["reason"] in ("bad-request", "no-photo")
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_which_face_is_meant() -> None:
    assert EnrolmentForm().face(0) is None
    assert [EnrolmentForm(faces=[2]).face(place) for place in range(3)] == [2, 2, 2]
    assert [EnrolmentForm(faces=[2, None]).face(place) for place in range(3)] == [2, None, None]
