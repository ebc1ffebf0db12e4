"""Enrolment and the people who are enrolled."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from app.enrolment import Enrolled, Face, PhotoReader, Refusal
from app.messages import Enrolment, Person, Template
from app.settings import Settings
from app.tables import Gallery
from app.web.errors import api_error
from app.web.form import EnrolmentForm, Uploads, read_form

__all__ = ["PeopleViews"]

#: Sends an enrolment to the agent that writes the table.
Send = Callable[[Enrolment], Awaitable[None]]

#: Seconds that the table may take to show an enrolment.
_CONFIRM_WITHIN = 15.0


@dataclass(frozen=True, slots=True)
class _Submission:
    """Who is to be enrolled, whether they are already, and what became of each photograph, by its file."""

    person: str
    name: str | None
    known: bool
    photos: list[tuple[str, Enrolled | Refusal]]


class PeopleViews:
    """`/people`."""

    def __init__(self, settings: Settings, gallery: Gallery, photos: PhotoReader, send: Send) -> None:
        self._settings = settings
        self._gallery = gallery
        self._photos = photos
        self._send = send
        self._uploads = Uploads(settings)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.post("/people", self.enrol),
            web.get("/people", self.everybody),
            web.get("/people/{id}", self.get),
            web.delete("/people/{id}", self.remove),
            web.get("/people/{id}/photos/{template}.jpg", self.crop),
        ]

    async def enrol(self, request: web.Request) -> web.Response:
        """Enrol a person, or add photographs to one."""
        async with self._uploads.admit(request) as room:
            sent = await self._read(request, room)
        photos = [_photo_to_json(file, result) for file, result in sent.photos]
        templates = [result.template for _, result in sent.photos if isinstance(result, Enrolled)]
        if refused := len(photos) - len(templates):
            detail = f"{refused} of {len(photos)} photographs cannot be used; nobody was enrolled"
            raise api_error(422, "photos-refused", detail, photos=photos)
        await self._carry_out("add", sent.person, sent.name, templates, sent.known)
        enrolled = self._gallery.people.get(sent.person)
        if enrolled is None:
            unreadable = sent.person in self._gallery.unreadable
            raise _not_shown(sent.person) if unreadable else _no_such_person(sent.person)
        return web.json_response({"id": sent.person, "name": enrolled.name, "photos": photos}, status=201)

    async def _read(self, request: web.Request, room: int) -> _Submission:
        """Read the form and its photographs, of which nothing is left in memory when this returns."""
        form = await read_form(request, self._settings, room)
        person, name = self._whom(form)
        photos = [
            (photo.file, await self._photos.read(photo, form.face(place)))
            for place, photo in enumerate(form.photos)
        ]
        return _Submission(person, name, form.person is not None, photos)

    async def everybody(self, request: web.Request) -> web.Response:
        """List everybody by name."""
        people = sorted(self._gallery.people.values(), key=lambda person: (person.name.casefold(), person.id))
        return web.json_response({"people": [_person_to_json(person) for person in people]})

    async def get(self, request: web.Request) -> web.Response:
        """Describe one person."""
        return web.json_response(_person_to_json(self._person(request.match_info["id"])))

    async def remove(self, request: web.Request) -> web.Response:
        """Remove a person."""
        wanted = request.match_info["id"]
        person = wanted if wanted in self._gallery.unreadable else self._person(wanted).id
        await self._carry_out("remove", person, None, [])
        return web.json_response({"id": person})

    async def crop(self, request: web.Request) -> web.Response:
        """Return the aligned face of an enrolled photograph."""
        wanted = request.match_info["template"]
        for template in self._person(request.match_info["id"]).templates:
            if template.id == wanted:
                return web.Response(body=template.crop, content_type="image/jpeg")
        raise api_error(404, "not-found", "this person has no such photograph")

    def _whom(self, form: EnrolmentForm) -> tuple[str, str | None]:
        if form.person is None:
            if form.name is None:
                raise api_error(400, "no-name", "give the person's name in the field 'name'")
            return secrets.token_hex(8), form.name
        enrolled = self._person(form.person)
        if len(enrolled.templates) + len(form.photos) > self._settings.max_templates:
            detail = f"a person has at most {self._settings.max_templates} photographs"
            raise api_error(400, "too-many-photos", detail)
        return form.person, form.name

    async def _carry_out(
        self, action: Any, person: str, name: str | None, templates: list[Template], known: bool = False
    ) -> None:
        """Send an enrolment and wait until this worker's table shows it."""
        enrolment = Enrolment(
            id=secrets.token_hex(8),
            action=action,
            person=person,
            name=name,
            at=int(time.time() * 1000),
            templates=templates,
            known=known,
        )
        revision = enrolment.id if action == "add" else None
        try:
            # Both may take for ever: the one while the broker is away, the other while nobody has the table.
            async with asyncio.timeout(_CONFIRM_WITHIN):
                await self._send(enrolment)
                await self._gallery.wait_for(person, revision, known)
        except TimeoutError:
            raise _not_shown(person) from None

    def _person(self, wanted: str) -> Person:
        if wanted in self._gallery.unreadable:
            detail = "this person is stored in a way that the worker cannot read; its log says why"
            raise api_error(409, "unreadable-person", detail)
        person = self._gallery.people.get(wanted)
        if person is None:
            raise _no_such_person(wanted)
        return person


def _not_shown(person: str) -> web.HTTPException:
    detail = "the table does not show the enrolment yet; look again soon"
    return api_error(503, "enrolment-not-confirmed", detail, id=person)


def _no_such_person(wanted: str) -> web.HTTPException:
    return api_error(404, "no-such-person", f"nobody with the id {wanted[:80]} is enrolled")


def _photo_to_json(file: str, result: Enrolled | Refusal) -> dict[str, Any]:
    if isinstance(result, Enrolled):
        return {"file": file, "ok": True, "face": _face_to_json(result.face), "template": result.template.id}
    refused: dict[str, Any] = {"file": file, "ok": False, "reason": result.reason, "detail": result.detail}
    if result.faces and result.size is not None:
        width, height = result.size
        faces = [_face_to_json(face) for face in result.faces]
        refused |= {"faces": faces, "width": width, "height": height}
    return refused


def _face_to_json(face: Face) -> dict[str, Any]:
    return {
        "index": face.index,
        "box": [round(side, 1) for side in face.box],
        "size": face.size,
        "score": round(face.score, 3),
    }


def _person_to_json(person: Person) -> dict[str, Any]:
    photos = [
        {
            "template": template.id,
            "size": [template.width, template.height],
            "score": round(template.score, 3),
            "crop": f"/people/{person.id}/photos/{template.id}.jpg",
        }
        for template in person.templates
    ]
    return {
        "id": person.id,
        "name": person.name,
        "created": person.created,
        "updated": person.updated,
        "photos": photos,
    }
