"""The enrolment agent writes the table, and the gallery follows."""

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from aiokafka.errors import KafkaTimeoutError
from makers import EMBEDDER, axis, make_enrolment, make_person, make_template, newer
from settled import settled
from studio import until
from workbench import Changelog, Stage

from app.agents.enrol import Enrol
from app.messages import Person, decode, encode
from app.tables import identities as module
from app.tables.gallery import Gallery
from app.tables.identities import Identities


class Office:
    """The agent, fed by hand, and its table."""

    def __init__(self, stage: Stage, changelog: Changelog) -> None:
        self.stage = stage
        self.changelog = changelog
        self.gallery = Gallery(EMBEDDER, 0.4, 0.05)
        self.identities = Identities(stage.app, self.gallery, stage.metrics)
        enrol = Enrol(self.identities, stage.intake, stage.dead_letters)
        self.context = stage.agent("enrolments", enrol.run)
        self.ledger = stage.of("enrolments")

    async def put(self, agent: Any, enrolment: Any) -> None:
        """Let a wish come."""
        key = enrolment.person.encode()
        await self.stage.put(agent, "enrolments", encode(enrolment), key=key)

    async def send(self, agent: Any, *enrolments: Any) -> None:
        """Let wishes come, each when the one before has been carried out."""
        for enrolment in enrolments:
            await self.put(agent, enrolment)
            await self.stage.all_done("enrolments")

    def stored(self, person: str) -> Person | None:
        """Return what the table holds of somebody."""
        value = self.identities.table.get(person.encode())
        return decode(Person, value) if value else None


@pytest.fixture
def office(stage: Stage, changelog: Changelog) -> Office:
    return Office(stage, changelog)


async def test_a_person_is_written_and_can_be_matched(office: Office) -> None:
    async with office.context as agent:
        await office.send(agent, make_enrolment("ada", axis(0), at=7))
    person = office.stored("ada")
    assert person is not None
    assert (person.name, person.created, person.updated, person.revision) == ("Ada", 7, 7, "ada-wish")
    assert len(person.templates) == 1
    assert (await office.gallery.match(axis(0)[None]))[0].person == "ada"
    assert (office.stage.value("gallery_people"), office.stage.value("gallery_templates")) == (1, 1)
    assert office.changelog.changes == [(b"ada", encode(person))]


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
    assert (await office.gallery.match(axis(0)[None]))[0].person is None


async def test_an_unreadable_wish_is_a_dead_letter(office: Office) -> None:
    async with office.context as agent:
        await office.stage.put(agent, "enrolments", b"junk", key=b"ada")
        await office.send(agent, make_enrolment("bob", axis(1)))
        (letter,) = await office.stage.letters(1)
    assert (letter.topic, letter.offset, letter.reason) == ("enrolments", 0, "malformed")
    assert set(office.gallery.people) == {"bob"}


async def test_the_gallery_is_built_from_the_table(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    old = make_template(axis(3), embedder="other@01234567")
    async with office.context as agent:
        await office.send(agent, make_enrolment("ada", axis(0)), make_enrolment("eve", templates=[old]))
        await office.gallery.load([])
        await office.identities.rebuild()
    assert set(office.gallery.people) == {"ada", "eve"}
    assert "1 templates were made by another embedder" in caplog.text


async def test_who_has_not_changed_is_not_read_again(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    async with office.context as agent:
        await office.send(
            agent, *(make_enrolment(person, axis(0)) for person in ("ada", "bob", "cyd", "dan"))
        )
    # Behind Faust's back, as a recovery changes it.
    table, people = office.identities.table.data, office.gallery.people
    bob, cyd = (decode(Person, table[key]) for key in (b"bob", b"cyd"))
    table[b"bob"] = encode(msgspec.structs.replace(bob, name="Robert", revision="other"))
    # Of one revision, but from another past: photographs that were removed must not come back.
    table[b"cyd"] = encode(msgspec.structs.replace(cyd, templates=[make_template(axis(3), id="cyd-9")]))
    del table[b"dan"]
    before, read = people["ada"], list[str]()

    def noted(kind: Any, value: bytes) -> Any:
        person = decode(kind, value)
        read.append(person.id)
        return person

    monkeypatch.setattr(module, "decode", noted)
    await office.identities.rebuild()
    assert sorted(read) == ["bob", "cyd"]
    assert people["ada"] is before
    assert {person.name for person in people.values()} == {"Ada", "Robert", "Cyd"}
    assert [template.id for template in people["cyd"].templates] == ["cyd-9"]


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
        await office.send(agent, make_enrolment("ada", axis(0)), make_enrolment("bob", axis(1)))
        (letter,) = await office.stage.letters(1)
    assert (letter.topic, letter.reason) == ("enrolments", "internal-error")
    assert office.ledger.committable == 2
    assert "the gallery gave up" in caplog.text


async def test_photographs_that_come_late_do_not_bring_back_who_was_removed(office: Office) -> None:
    async with office.context as agent:
        await office.send(agent, make_enrolment("ada", axis(0)))
        await office.send(agent, make_enrolment("ada", axis(1), id="more", known=True))
        await office.send(agent, make_enrolment("ada", action="remove", name=None))
        await office.send(agent, make_enrolment("ada", axis(2), id="late", known=True))
        await office.send(agent, make_enrolment("bob", axis(3)))
    assert office.stored("ada") is None
    assert set(office.gallery.people) == {"bob"}


async def test_a_wish_is_done_when_the_changelog_has_it(office: Office) -> None:
    office.changelog.open.clear()
    async with office.context as agent:
        await office.put(agent, make_enrolment("ada", axis(0)))
        await until(lambda: office.changelog.changes)
        await settled()
        assert office.ledger.committable == 0
        assert office.identities.writing
        # Nor is she named before the others may know of her.
        assert not office.gallery.people
        office.changelog.open.set()
        await until(lambda: office.ledger.committable == 1)
        await office.identities.written()
    assert set(office.gallery.people) == {"ada"}


@pytest.mark.parametrize("action", ["add", "remove"])
async def test_a_change_that_the_changelog_does_not_take_is_tried_again(
    office: Office,
    action: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(module, "_FIRST_WAIT", 0.001)
    async with office.context as agent:
        await office.send(agent, make_enrolment("ada", axis(0)))
        office.changelog.failures += [KafkaTimeoutError()] * 3
        await office.send(agent, make_enrolment("ada", axis(1), id="then", action=action))
    changes = office.changelog.changes[1:]
    assert len(changes) == 4
    assert len({*changes}) == 1
    assert (changes[0][1] is None) == (action == "remove")
    assert caplog.text.count("the identities cannot be written") == 3
    assert ("ada" in office.gallery.people) == (action == "add")
    assert office.ledger.committable == 2


async def test_who_is_removed_is_removed_from_the_changelog_too_whatever_the_table_holds(
    office: Office,
) -> None:
    """A worker that died may have taken them out of its own table alone."""
    async with office.context as agent:
        await office.send(agent, make_enrolment("ada", action="remove", name=None))
    assert office.changelog.changes == [(b"ada", None)]


NEWER = newer(make_person("ada", axis(0)))


@pytest.mark.parametrize("stored", [NEWER, b"junk", b""], ids=["newer", "damaged", "empty"])
async def test_who_cannot_be_read_is_never_overwritten_but_can_be_removed(
    office: Office, stored: bytes
) -> None:
    table = office.identities.table
    async with office.context as agent:
        table.data[b"ada"] = stored
        await office.identities.rebuild()
        for known in (True, False):
            await office.send(agent, make_enrolment("ada", axis(1), id=f"more-{known}", known=known))
        letters = await office.stage.letters(2)
        assert [(letter.offset, letter.reason) for letter in letters] == [
            (0, "unreadable-person"), (1, "unreadable-person"),
        ]  # fmt: skip
        assert letters[0].detail.startswith("the person ada cannot be read, and nothing is added to them: ")
        assert table[b"ada"] == stored
        assert office.changelog.changes == []
        assert not office.gallery.people

        await office.send(agent, make_enrolment("ada", action="remove", name=None))
        assert office.changelog.changes == [(b"ada", None)]
        assert not office.gallery.unreadable
        await office.send(agent, make_enrolment("ada", axis(1), id="again"))
    assert set(office.gallery.people) == {"ada"}


async def test_the_gallery_leaves_out_who_cannot_be_read_and_says_so_in_one_line(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    async with office.context as agent:
        await office.send(agent, make_enrolment("bob", axis(1)))
        office.identities.table.data[b"ada"] = NEWER
        for number in range(20):
            office.identities.table.data[b"%d" % number] = b"junk"
        await office.identities.rebuild()
    assert set(office.gallery.people) == {"bob"}
    assert office.gallery.unreadable == {"ada", *map(str, range(20))}
    assert office.stage.value("gallery_unreadable_people") == 21
    (line,) = [text for text in caplog.messages if "cannot be read" in text]
    assert line.startswith("21 people cannot be read and are left out: ")
    assert "\n" not in line


async def test_who_cannot_be_read_any_more_is_left_out_until_they_can(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    """Another worker owns the table, and this one follows its changelog."""

    async def change(value: bytes | None) -> None:
        event: Any = SimpleNamespace(message=SimpleNamespace(key=b"ada", value=value))
        await office.identities._on_changelog_event(event)

    await change(encode(make_person("ada", axis(0))))
    await change(NEWER)
    assert (dict(office.gallery.people), office.gallery.unreadable) == ({}, {"ada"})
    assert (await office.gallery.match(axis(0)[None]))[0].person is None
    (line,) = caplog.messages
    assert line.startswith("the person ada cannot be read and is left out: Person of version 2;")
    await change(encode(make_person("ada", axis(0))))
    assert (set(office.gallery.people), office.gallery.unreadable) == ({"ada"}, set())
    await change(NEWER)
    await change(None)
    assert (dict(office.gallery.people), office.gallery.unreadable) == ({}, set())
