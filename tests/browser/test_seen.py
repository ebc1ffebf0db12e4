"""What the list of who was seen says: why there is no name, how sure one is, and what it was before."""

import re
import time
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_type_hints

import pytest
from aiokafka import AIOKafkaProducer
from cluster import Cluster, wait_for
from conftest import run_apart
from console import errors_of
from machine import SLOWNESS
from makers import make_sighting
from msgspec.structs import replace
from playwright.sync_api import BrowserContext, Locator, Page, Route, expect

from app.broker import Broker
from app.messages import Change, Sighting, Unnamed, encode
from app.topics import Topics

_SLOW = 60_000 * SLOWNESS

Gate = Literal["small", "blurred", "turned", "unlike", "ambiguous", "beside", "nobody"]

_REASONS = {
    "small": "The best face is too small: no picture of this quality is similar enough for a name"
    " (quality lacks 0.12).",
    "blurred": "The best face is out of focus or too dark: no picture of this quality is similar enough for a"
    " name (quality lacks 0.12).",
    "turned": "The best face is turned away too far: no picture of this quality is similar enough for a name"
    " (quality lacks 0.12).",
    "unlike": "Nobody enrolled is similar enough (the nearest lacks a similarity of 0.12).",
    "ambiguous": "Two people who are enrolled are too near each other to say which it is"
    " (the lead lacks 0.12).",
    "beside": "Somebody else on the same frame is more like the nearest person (similarity lacks 0.12).",
    "nobody": "Nobody was enrolled yet.",
}


class Log:
    """The topic of sightings of a worker that no camera writes to."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._topic = Topics(cluster.settings).sightings.name
        self.url = cluster.worker().until_ready().url

    def write(self, *sightings: Sighting) -> None:
        """Write these as a worker does."""
        run_apart(self._write(sightings))

    async def _write(self, sightings: tuple[Sighting, ...]) -> None:
        async with AIOKafkaProducer(bootstrap_servers=self.cluster.settings.bootstrap) as producer:
            for sighting in sightings:
                key = sighting.stream.encode()
                await producer.send_and_wait(self._topic, encode(sighting), key=key)


@pytest.fixture(scope="module")
def log(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Log]:
    """Yield the log of a running worker."""
    with Cluster(broker.url, tmp_path_factory.mktemp("log")) as cluster:
        yield Log(cluster)


@pytest.fixture
def page(context: BrowserContext, log: Log) -> Iterator[Page]:
    """Yield the page, which must not log an error."""
    page = context.new_page()
    errors = errors_of(page)
    page.goto(log.url)
    expect(page.locator("#worker")).to_have_attribute("data-state", "ready", timeout=_SLOW)
    yield page
    page.close()
    assert errors == []


def _seen(identity: str, revision: int = 1, **more: Any) -> Sighting:
    now = int(time.time() * 1000)
    return make_sighting(**{"id": identity, "first": now - 9000, "last": now, "revision": revision} | more)


def _unknown(identity: str, gate: Gate = "unlike", lacking: float = 0.12, **more: Any) -> Sighting:
    why = Unnamed(gate=gate, lacking=lacking)
    return _seen(identity, **{"person": None, "name": None, "score": None, "unnamed": why} | more)


def _changed(identity: str, before: str | None, after: str | None, **more: Any) -> Sighting:
    sighting = (_seen if after else _unknown)(identity)
    change = {"before": before, "before_name": before, "after": after, "after_name": after, **more}
    return replace(sighting, changes=(Change(captured=sighting.first, **change),))


def _row(page: Page, identity: str) -> Locator:
    return page.locator(f'#sightings [data-id="{identity}"]')


def _why(page: Page, identity: str) -> Locator:
    return _row(page, identity).get_by_text("Why no name?")


def test_there_are_words_for_every_reason() -> None:
    assert set(_REASONS) == set(get_args(Gate)) == set(get_args(get_type_hints(Unnamed)["gate"]))


def test_somebody_unknown_says_why(page: Page, log: Log) -> None:
    log.write(*(_unknown(f"why-{gate}", gate=gate) for gate in get_args(Gate)))
    for gate, words in _REASONS.items():
        reason = _row(page, f"why-{gate}").locator(".why p")
        expect(_why(page, f"why-{gate}")).to_be_visible(timeout=_SLOW)
        expect(reason).to_be_hidden()
        _why(page, f"why-{gate}").click()
        expect(reason).to_be_visible()
        expect(reason).to_have_text(words)


def test_what_lacks_next_to_nothing_is_not_measured(page: Page, log: Log) -> None:
    log.write(_unknown("little", lacking=0.0))
    _why(page, "little").click(timeout=_SLOW)
    expect(_row(page, "little").locator(".why p")).to_have_text("Nobody enrolled is similar enough.")


def test_who_has_a_name_or_was_seen_before_there_were_reasons_says_nothing(page: Page, log: Log) -> None:
    log.write(_seen("named"), _unknown("of-old", unnamed=None))
    for identity in ("named", "of-old"):
        expect(_row(page, identity)).to_be_visible(timeout=_SLOW)
        expect(_why(page, identity)).to_be_hidden()
        expect(_row(page, identity).locator(".change")).to_be_hidden()


def test_a_reason_of_a_later_worker_is_told_in_general(context: BrowserContext, log: Log) -> None:
    log.write(_unknown("later"))
    page = context.new_page()

    def later(route: Route) -> None:
        answer = route.fetch().json()
        for sighting in answer["sightings"]:
            if sighting["unnamed"]:
                sighting["unnamed"] = {"gate": "constructor", "lacking": None}
        route.fulfill(json=answer)

    page.route("**/sightings?*", later)
    page.goto(log.url)
    _why(page, "later").click(timeout=_SLOW)
    expect(_row(page, "later").locator(".why p")).to_have_text(
        "The worker has a reason that this page has no words for."
    )


def test_it_stays_open_while_the_sighting_goes_on(page: Page, log: Log) -> None:
    log.write(_unknown("on"))
    _why(page, "on").click(timeout=_SLOW)
    details = _row(page, "on").locator("details").element_handle()
    for revision, lacking in enumerate((0.11, 0.10), 2):
        log.write(_unknown("on", revision=revision, lacking=lacking))
        expect(_row(page, "on").locator(".why p")).to_contain_text(f"{lacking:.2f}", timeout=_SLOW)
        assert details.evaluate("(it) => it.isConnected && it.open")
    log.write(_unknown("on", revision=4, gate="small", open=False))
    expect(_row(page, "on").locator(".why p")).to_contain_text("too small", timeout=_SLOW)
    assert details.evaluate("(it) => it.isConnected && it.open")


def test_a_name_takes_the_question_away(page: Page, log: Log) -> None:
    log.write(_unknown("at-last"))
    _why(page, "at-last").click(timeout=_SLOW)
    log.write(_seen("at-last", revision=2))
    expect(_row(page, "at-last")).to_contain_text("Ada", timeout=_SLOW)
    expect(_row(page, "at-last").locator("details")).to_be_hidden()


def test_it_is_reached_and_opened_by_keyboard_and_keeps_the_focus(page: Page, log: Log) -> None:
    first = _unknown("keys")
    log.write(first, _unknown("above", first=first.first + 1000))
    expect(_why(page, "above")).to_be_visible(timeout=_SLOW)
    page.locator("#filter-stream").focus()
    page.keyboard.press("Tab")
    expect(_why(page, "above")).to_be_focused()
    page.keyboard.press("Tab")
    expect(_why(page, "keys")).to_be_focused()
    page.keyboard.press("Enter")
    expect(_row(page, "keys").locator(".why p")).to_be_visible()
    # The upper one ends, and goes down: the lower one moves.
    log.write(_unknown("above", revision=2, first=first.first + 1000, open=False))
    below = page.locator('[data-id="keys"] ~ [data-id="above"]')
    expect(below).to_be_visible(timeout=_SLOW)
    expect(_why(page, "keys")).to_be_focused()
    page.keyboard.press("Space")
    expect(_row(page, "keys").locator(".why p")).to_be_hidden()


@pytest.mark.parametrize(
    ("confidence", "text", "title"),
    [
        (0.93, "93 % sure", "93 were right"),
        (1.0, ">99 % sure", "more than 99 were right"),
        (0.07, "7 % sure", "7 were right"),
        (None, "0.80", "cosine"),
    ],
)
def test_a_name_says_how_sure_it_is(
    confidence: float | None, text: str, title: str, page: Page, log: Log
) -> None:
    log.write(_seen(f"sure-{confidence}", confidence=confidence))
    score = _row(page, f"sure-{confidence}").locator(".score")
    expect(score).to_have_text(text, timeout=_SLOW)
    expect(score).to_have_attribute("title", re.compile(title))


@pytest.mark.parametrize(
    ("before", "after", "reason", "text"),
    [
        ("Bob", "Ada", "corrected", "taken for Bob until "),
        ("<b>Bob</b>", None, "corrected", "taken for <b>Bob</b> until "),
        (None, "Ada", "recognised", "unknown until "),
    ],
)
def test_a_name_that_changed_says_what_it_was_and_until_when(
    before: str | None, after: str | None, reason: str, text: str, page: Page, log: Log
) -> None:
    identity = f"{reason}-{after}"
    log.write(_changed(identity, before, after, reason=reason))
    change = _row(page, identity).locator(".change")
    expect(change).to_be_visible(timeout=_SLOW)
    # The name was another one from the first frame on: that time is written in the row as well.
    begin = _row(page, identity).locator(".when time").first.inner_text()
    expect(change).to_have_text(text + begin)


def test_a_name_that_was_removed_says_whose_it_was(page: Page, log: Log) -> None:
    log.write(_changed("removed", "Bob", None, reason="removed"))
    expect(_row(page, "removed").locator(".change")).to_have_text(
        "was Bob, who is not enrolled any more", use_inner_text=True, timeout=_SLOW
    )


def test_the_last_of_several_changes_is_told(page: Page, log: Log) -> None:
    sighting = _changed("twice", "Bob", "Ada", reason="corrected")
    earlier = _changed("twice", None, "Bob", reason="recognised")
    log.write(replace(sighting, changes=earlier.changes + sighting.changes))
    expect(_row(page, "twice").locator(".change")).to_contain_text("taken for Bob", timeout=_SLOW)


def test_what_became_part_of_another_goes_though_the_other_is_not_shown_yet(page: Page, log: Log) -> None:
    part = _unknown("part")
    log.write(part)
    expect(_row(page, "part")).to_be_visible(timeout=_SLOW)
    answer = page.request.get(f"{log.url}/sightings?limit=40").json()
    log.write(replace(part, open=False, merged="whole", revision=2))
    expect(_row(page, "part")).to_have_count(0, timeout=_SLOW)
    log.write(_seen("whole", revision=2))
    expect(_row(page, "whole")).to_be_visible(timeout=_SLOW)
    # An answer that was under way when they were joined does not bring it back.
    page.route("**/sightings?*", lambda route: route.fulfill(json=answer))
    page.locator("#filter-stream").dispatch_event("change")
    expect(_row(page, "whole")).to_have_count(0)
    expect(page.locator("#sightings li").first).to_be_visible()
    expect(_row(page, "part")).to_have_count(0)


def test_who_is_seen_between_the_list_and_the_events_is_not_missed(context: BrowserContext, log: Log) -> None:
    page, held = context.new_page(), list[Route]()

    def hold(route: Route) -> None:
        held.append(route)

    page.route(f"{log.url}/events*", hold)
    with page.expect_response(re.compile(r"/sightings\?")):
        page.goto(log.url)
    log.write(_unknown("between"))
    wait_for("the sighting", lambda: "between" in page.request.get(f"{log.url}/sightings").text())
    expect(_row(page, "between")).to_have_count(0)
    held[0].continue_()
    expect(_row(page, "between")).to_be_visible(timeout=_SLOW)


def test_on_a_phone_nothing_is_cut_off(phone: BrowserContext, log: Log) -> None:
    page = phone.new_page()
    page.goto(log.url)
    long = "Wolfeschlegelsteinhausenbergerdorff" * 2
    log.write(
        replace(_changed("wide", long, long, reason="corrected"), name=long, confidence=0.93),
        _unknown("wide-unknown", gate="blurred"),
    )
    _why(page, "wide-unknown").tap(timeout=_SLOW)
    expect(_row(page, "wide-unknown").locator(".why p")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    parts = page.locator("#sightings :is(li, .change, .why, .score)")
    assert (
        parts.evaluate_all("(all) => all.filter((one) => one.scrollWidth > one.clientWidth + 1).length") == 0
    )
    box = _why(page, "wide-unknown").bounding_box()
    assert box is not None
    assert box["height"] >= 40
