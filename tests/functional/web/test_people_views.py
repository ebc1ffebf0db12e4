"""Enrolment through the web with the real nets, the real agent and the real table."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import cv2
import faust
import numpy as np
import pytest
from machine import SLOWNESS, patience
from makers import axis, make_person, newer
from media.stills import PEOPLE, TWO_PEOPLE
from settled import settled
from workbench import Changelog, Stage

from app.agents.enrol import Enrol
from app.enrolment import PhotoReader
from app.messages import Enrolment, encode
from app.models.images import decode_jpeg, encode_jpeg
from app.models.pipeline import Nets
from app.settings import Settings
from app.tables.gallery import Gallery
from app.tables.identities import AwaitedTable, Identities
from app.web import people as module
from app.web.people import PeopleViews

SETTINGS = Settings(max_photo_bytes=400_000, max_photo_pixels=4_000_000, max_photos=4, max_templates=5)
OBAMA, OBAMA_AGAIN = PEOPLE["obama"]


class House:
    """The views, and the agent behind them."""

    def __init__(self, client: Any, gallery: Gallery) -> None:
        self.client, self.gallery = client, gallery

    async def enrol(self, *photos: bytes, **fields: Any) -> tuple[int, Any]:
        form = aiohttp.FormData(default_to_multipart=True)
        for name, value in fields.items():
            for text in value if isinstance(value, list) else [value]:
                form.add_field(name, text)
        for number, photo in enumerate(photos):
            form.add_field("photo", photo, filename=f"{number}.jpg")
        response = await self.client.post("/people", data=form)
        return response.status, await response.json()

    async def get(self, path: str) -> tuple[int, Any]:
        response = await self.client.get(path)
        return response.status, await response.json()


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[tuple[Gallery, Callable[..., Any], Any]]:
    app = faust.App(
        "web", broker="kafka://127.0.0.1:9", store="memory://", datadir=tmp_path,
        key_serializer="raw", value_serializer="raw", GlobalTable=AwaitedTable,
    )  # fmt: skip
    stage = Stage(app)
    producer: Any = Changelog()
    app.producer = producer
    gallery = Gallery("faceplugin", 0.4, 0.05)
    identities = Identities(app, gallery, stage.metrics)
    async with stage.agent("enrolments", Enrol(identities, stage.intake, stage.dead_letters).run) as fed:

        async def send(enrolment: Enrolment) -> None:
            await stage.put(fed, "enrolments", encode(enrolment), key=enrolment.person.encode())

        yield gallery, send, identities
    # Some of Faust's own asks for the consumer, whose thread is never started: only its loop is to be closed.
    app.consumer._thread.thread_loop.close()


@pytest.fixture
async def house(office: Any, nets: Nets, serve: Any) -> AsyncIterator[House]:
    gallery, send, _ = office
    gallery.embedder = nets.embedder
    photos = PhotoReader(SETTINGS, nets)
    client = await serve(PeopleViews(SETTINGS, gallery, photos, send).routes(), SETTINGS)
    yield House(client, gallery)
    photos.close()


@pytest.fixture(scope="session")
def photo(still: Callable[[str], Any]) -> Callable[..., bytes]:
    def read(name: str, side: int = 640) -> bytes:
        image = still(name)
        scale = side / max(image.shape[:2])
        return encode_jpeg(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))

    return read


async def test_from_enrolment_to_removal(house: House, photo: Any) -> None:
    assert await house.get("/people") == (200, {"people": []})

    status, answer = await house.enrol(photo(OBAMA), name="Barack")
    assert status == 201
    (told,) = answer["photos"]
    assert (told["file"], told["ok"], told["face"]["index"]) == ("0.jpg", True, 0)
    left, top, right, bottom = told["face"]["box"]
    assert 0 <= left < right <= 640 and 0 <= top < bottom <= 640
    person = answer["id"]
    assert house.gallery.people[person].name == "Barack"

    status, known = await house.get(f"/people/{person}")
    assert (status, known["name"], len(known["photos"])) == (200, "Barack", 1)
    assert "embedding" not in str(known)
    response = await house.client.get(known["photos"][0]["crop"])
    assert response.content_type == "image/jpeg"
    assert decode_jpeg(await response.read()).shape == (112, 112, 3)

    status, answer = await house.enrol(photo(OBAMA_AGAIN), photo(OBAMA), id=person, name="Obama")
    assert (status, answer["name"], len(answer["photos"])) == (201, "Obama", 2)
    _, known = await house.get(f"/people/{person}")
    assert (known["name"], len(known["photos"])) == ("Obama", 2)
    assert known["updated"] >= known["created"]

    response = await house.client.delete(f"/people/{person}")
    assert (response.status, await response.json()) == (200, {"id": person})
    assert await house.get("/people") == (200, {"people": []})
    status, body = await house.get(f"/people/{person}")
    assert (status, body["reason"]) == (404, "no-such-person")


async def test_people_are_listed_by_name(house: House, photo: Any) -> None:
    for name in ("carl", "Ada", "Bob"):
        assert (await house.enrol(photo(OBAMA), name=name))[0] == 201
    _, body = await house.get("/people")
    assert [person["name"] for person in body["people"]] == ["Ada", "Bob", "carl"]


async def test_several_faces_ask_which_one(house: House, photo: Any) -> None:
    status, answer = await house.enrol(photo(TWO_PEOPLE), name="One of two")
    assert (status, answer["reason"]) == (422, "photos-refused")
    (refused,) = answer["photos"]
    assert (refused["ok"], refused["reason"]) == (False, "several-faces")
    assert [face["index"] for face in refused["faces"]] == [0, 1]
    assert max(refused["width"], refused["height"]) == 640
    assert not house.gallery.people

    for wanted in (0, 1):
        status, answer = await house.enrol(photo(TWO_PEOPLE), name="One of two", face=str(wanted))
        assert (status, answer["photos"][0]["face"]) == (201, refused["faces"][wanted])
    one, other = house.gallery.people.values()
    assert float(one.templates[0].embedding @ other.templates[0].embedding) < 0.4

    status, answer = await house.enrol(photo(TWO_PEOPLE), name="Nobody", face="2")
    assert (status, answer["photos"][0]["reason"]) == (422, "bad-face")
    assert len(answer["photos"][0]["faces"]) == 2


async def test_faces_are_chosen_for_each_photograph(house: House, photo: Any) -> None:
    status, answer = await house.enrol(
        photo(OBAMA), photo(TWO_PEOPLE), name="Two photographs", face=["", "1"]
    )
    assert status == 201
    assert [told["face"]["index"] for told in answer["photos"]] == [0, 1]


async def test_one_bad_photograph_refuses_all(house: House, photo: Any) -> None:
    empty = encode_jpeg(np.full((300, 300, 3), 120, np.uint8))
    status, answer = await house.enrol(photo(OBAMA), empty, b"GIF89a", b"x" * 500_000, name="Ada")
    assert status == 422
    assert [told.get("reason") for told in answer["photos"]] == [None, "no-face", "not-an-image", "too-large"]
    assert answer["detail"].startswith("3 of 4")
    assert not house.gallery.people


@pytest.mark.parametrize("kind", ["small", "pixels", "truncated", "line", "dot"])
async def test_a_photograph_that_will_not_do(house: House, photo: Any, kind: str) -> None:
    data, reason = {
        "small": (lambda: photo(OBAMA, side=90), "face-too-small"),
        "pixels": (lambda: encode_jpeg(np.zeros((2001, 2000, 3), np.uint8)), "too-large"),
        "truncated": (lambda: photo(OBAMA)[:5000], "not-an-image"),
        "line": (lambda: encode_jpeg(np.zeros((1, 4000, 3), np.uint8)), "no-face"),
        "dot": (lambda: encode_jpeg(np.zeros((1, 1, 3), np.uint8)), "no-face"),
    }[kind]
    status, answer = await house.enrol(data(), name="Ada")
    assert (status, answer["photos"][0]["reason"]) == (422, reason)
    assert ("faces" in answer["photos"][0]) == (kind == "small")


async def test_wrong_forms(house: House, photo: Any) -> None:
    status, answer = await house.enrol(photo(OBAMA))
    assert (status, answer["reason"]) == (400, "no-name")
    status, answer = await house.enrol(photo(OBAMA), id="nobody")
    assert (status, answer["reason"]) == (404, "no-such-person")
    status, answer = await house.enrol(name="Ada")
    assert (status, answer["reason"]) == (400, "no-photo")


@pytest.mark.parametrize(
    "path", ["/people/nobody", "/people/nobody/photos/x.jpg", "/people/%00", "/people/..%2fx"]
)
async def test_an_unknown_person(house: House, path: str) -> None:
    status, body = await house.get(path)
    assert (status, body["reason"]) == (404, "no-such-person")


async def test_an_unknown_person_cannot_be_removed(house: House) -> None:
    response = await house.client.delete("/people/nobody")
    assert (response.status, (await response.json())["reason"]) == (404, "no-such-person")


async def test_an_unknown_photograph(house: House, photo: Any) -> None:
    _, answer = await house.enrol(photo(OBAMA), name="Ada")
    status, body = await house.get(f"/people/{answer['id']}/photos/none.jpg")
    assert (status, body["reason"]) == (404, "not-found")


@pytest.mark.parametrize("lost", ["broker", "table"])
async def test_an_enrolment_that_is_not_confirmed(
    nets: Nets, serve: Any, photo: Any, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    monkeypatch.setattr(module, "_CONFIRM_WITHIN", 0.1)

    async def send(_: Enrolment) -> None:
        if lost == "broker":
            await asyncio.Event().wait()

    gallery, photos = Gallery(nets.embedder, 0.4, 0.05), PhotoReader(SETTINGS, nets)
    house = House(await serve(PeopleViews(SETTINGS, gallery, photos, send).routes()), gallery)
    status, answer = await house.enrol(photo(OBAMA), name="Ada")
    assert (status, answer["reason"]) == (503, "enrolment-not-confirmed")
    assert answer["id"]
    photos.close()


async def test_a_person_has_only_so_many_photographs(house: House, photo: Any) -> None:
    await house.gallery.put(make_person("ada", *[axis(0)] * 4))
    status, answer = await house.enrol(photo(OBAMA), photo(OBAMA_AGAIN), id="ada")
    assert (status, answer["reason"]) == (400, "too-many-photos")


async def test_photographs_of_somebody_who_is_removed_meanwhile_bring_nobody_back(
    house: House, photo: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gallery of this worker still shows whom the table has lost."""
    await house.gallery.put(make_person("ada", axis(0)))
    waiting, wait_for = asyncio.Event(), house.gallery.wait_for

    async def noted(*whom: Any) -> None:
        waiting.set()
        await wait_for(*whom)

    monkeypatch.setattr(house.gallery, "wait_for", noted)
    adding = asyncio.create_task(house.enrol(photo(OBAMA), id="ada"))
    async with patience(30):
        await waiting.wait()
    await settled()
    assert not adding.done()
    await house.gallery.remove("ada")
    status, answer = await adding
    assert (status, answer["reason"]) == (404, "no-such-person")
    assert not house.gallery.people


async def test_who_cannot_be_read_can_be_removed_and_nothing_else(
    house: House, office: Any, photo: Any
) -> None:
    _, _, identities = office
    identities.table.data[b"ada"] = newer(make_person("ada", axis(0)))
    await identities.rebuild()
    for status, answer in (
        await asyncio.wait_for(house.enrol(photo(OBAMA), id="ada"), 5 * SLOWNESS),
        await house.get("/people/ada"),
        await house.get("/people/ada/photos/ada-0.jpg"),
    ):
        assert (status, answer["reason"]) == (409, "unreadable-person")
    assert await house.get("/people") == (200, {"people": []})
    response = await house.client.delete("/people/ada")
    assert (response.status, await response.json()) == (200, {"id": "ada"})
    assert b"ada" not in identities.table
    assert (await house.get("/people/ada"))[1]["reason"] == "no-such-person"


async def test_an_enrolment_that_a_newer_worker_carries_out_is_not_confirmed_and_not_waited_for(
    house: House, photo: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That something was written shows; this worker cannot tell what."""
    wait_for, waiting = house.gallery.wait_for, asyncio.Event()

    async def noted(*arguments: Any) -> None:
        waiting.set()
        await wait_for(*arguments)

    monkeypatch.setattr(house.gallery, "wait_for", noted)
    await house.gallery.put(make_person("ada", axis(0)))
    adding = asyncio.create_task(house.enrol(photo(OBAMA), id="ada"))
    await waiting.wait()
    await house.gallery.leave_out("ada")
    status, answer = await asyncio.wait_for(adding, 5 * SLOWNESS)
    assert (status, answer["reason"], answer["id"]) == (503, "enrolment-not-confirmed", "ada")
