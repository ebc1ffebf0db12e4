"""The enrolment agent writes the table, and the gallery follows."""

from typing import Any

import pytest
from makers import EMBEDDER, axis, make_enrolment, make_template

from app.agents.enrol import Enrol
from app.messages import DeadLetter, Person, decode, encode
from app.tables.gallery import Gallery
from app.tables.identities import Identities


class Office:
    """The agent, fed by hand, and its table."""

    def __init__(self, stage: Any) -> None:
        self.stage = stage
        self.gallery = Gallery(EMBEDDER, 0.4, 0.05)
        self.identities = Identities(stage.app, self.gallery, stage.metrics)
        self.context = stage.agent("enrolments", Enrol(self.identities, stage.dead_letters).run)

    async def send(self, agent: Any, *enrolments: Any) -> None:
        for enrolment in enrolments:
            await agent.put(encode(enrolment), key=enrolment.person.encode(), wait=False)
            revision = enrolment.id if enrolment.action == "add" else None
            await self.gallery.wait_for(enrolment.person, revision)

    def stored(self, person: str) -> Person | None:
        value = self.identities.table.get(person.encode())
        return decode(Person, value) if value else None


@pytest.fixture
def office(stage: Any) -> Office:
    return Office(stage)


async def test_a_person_is_written_and_can_be_matched(office: Office) -> None:
    async with office.context as agent:
        await office.send(agent, make_enrolment("ada", axis(0), at=7))
    person = office.stored("ada")
    assert person is not None
    assert (person.name, person.created, person.updated, person.revision) == ("Ada", 7, 7, "ada-wish")
    assert len(person.templates) == 1
    assert office.gallery.match(axis(0)[None])[0].person == "ada"
    value = office.stage.metrics.registry.get_sample_value
    assert (value("onlooker_gallery_people"), value("onlooker_gallery_templates")) == (1, 1)


async def test_photographs_are_added_and_a_person_renamed(office: Office) -> None:
    async with office.context as agent:
        await office.send(agent, make_enrolment("ada", axis(0), at=7))
        await office.send(agent, make_enrolment("ada", axis(0), axis(1), id="more", name="Countess", at=9))
        await office.send(agent, make_enrolment("ada", id="none", name=None, at=11))
    person = office.stored("ada")
    assert person is not None
    assert (person.name, person.created, person.updated) == ("Countess", 7, 11)
    assert [template.id for template in person.templates] == ["ada-0", "ada-1"]


async def test_the_same_enrolment_twice_changes_nothing(office: Office) -> None:
    wish = make_enrolment("ada", axis(0), axis(1))
    async with office.context as agent:
        await office.send(agent, wish)
        before = office.identities.table[b"ada"]
        await office.send(agent, wish)
        await office.send(agent, make_enrolment("bob", axis(2), id="last"))
    assert office.identities.table[b"ada"] == before


async def test_a_person_is_removed(office: Office) -> None:
    async with office.context as agent:
        await office.send(agent, make_enrolment("ada", axis(0)))
        await office.send(agent, make_enrolment("ada", action="remove", name=None))
        await office.send(agent, make_enrolment("nobody", action="remove", name=None))
        await office.send(agent, make_enrolment("bob", axis(1)))
    assert office.stored("ada") is None
    assert set(office.gallery.people) == {"bob"}
    assert office.gallery.match(axis(0)[None])[0].person is None


async def test_an_unreadable_wish_is_a_dead_letter(office: Office) -> None:
    async with office.context as agent:
        await agent.put(b"junk", key=b"ada", wait=False)
        await office.send(agent, make_enrolment("bob", axis(1)))
    (kept,) = office.stage.delivery.of(office.stage.topics.dead_letters)
    letter = decode(DeadLetter, kept.value)
    assert (letter.topic, letter.reason, letter.value) == ("enrolments", "malformed", b"junk")


async def test_the_gallery_is_built_from_the_table(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    old = make_template(axis(3), embedder="other@01234567")
    async with office.context as agent:
        await office.send(agent, make_enrolment("ada", axis(0)), make_enrolment("eve", templates=[old]))
        await office.gallery.load([])
        await office.identities.rebuild()
    assert set(office.gallery.people) == {"ada", "eve"}
    assert "1 templates were made by another embedder" in caplog.text


async def test_what_nobody_foresaw_is_a_dead_letter(
    office: Office, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    put = office.gallery.put

    async def fragile(person: Person) -> None:
        if person.id == "ada":
            raise ZeroDivisionError("the gallery gave up")
        await put(person)

    monkeypatch.setattr(office.gallery, "put", fragile)
    async with office.context as agent:
        await agent.put(encode(make_enrolment("ada", axis(0))), key=b"ada", wait=False)
        await office.send(agent, make_enrolment("bob", axis(1)))
    (kept,) = office.stage.delivery.of(office.stage.topics.dead_letters)
    letter = decode(DeadLetter, kept.value)
    assert (letter.topic, letter.reason) == ("enrolments", "internal-error")
    assert "the gallery gave up" in caplog.text


async def test_photographs_that_come_late_do_not_bring_back_who_was_removed(office: Office) -> None:
    async with office.context as agent:
        await office.send(agent, make_enrolment("ada", axis(0)))
        await office.send(agent, make_enrolment("ada", axis(1), id="more", known=True))
        await office.send(agent, make_enrolment("ada", action="remove", name=None))
        late = make_enrolment("ada", axis(2), id="late", known=True)
        await agent.put(encode(late), key=b"ada", wait=False)
        await office.send(agent, make_enrolment("bob", axis(3)))
    assert office.stored("ada") is None
    assert set(office.gallery.people) == {"bob"}
