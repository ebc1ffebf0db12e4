"""The page in a real browser, against a real worker."""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from cluster import request
from console import errors_of
from machine import SLOWNESS
from media.stills import TWO_PEOPLE
from playwright.sync_api import BrowserContext, Page, expect

from app.models.images import Image, encode_jpeg

if TYPE_CHECKING:
    from tests.browser.conftest import Site

_SLOW = 60_000 * SLOWNESS

_FINGERPRINT = """(stream) => {
  const canvas = document.querySelector(`[data-stream="${stream}"] canvas`);
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let sum = 0, low = 255, high = 0;
  for (let at = 0; at < data.length; at += 4) {
    sum = (sum * 31 + data[at]) % 1000000007;
    low = Math.min(low, data[at]);
    high = Math.max(high, data[at]);
  }
  return { sum, contrast: high - low };
}"""


class Watched:
    """A page and the errors that it logged."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors = errors_of(page)

    def picture(self, stream: str) -> dict[str, Any]:
        """Return a fingerprint of what the canvas of a stream shows, and its contrast."""
        result: dict[str, Any] = self.page.evaluate(_FINGERPRINT, stream)
        return result

    def wait_for_movement(self, stream: str) -> None:
        """Wait until the picture of a stream is one, and becomes another one."""
        self.page.wait_for_selector(f'[data-stream="{stream}"] canvas', timeout=_SLOW)
        self.page.wait_for_function(f"(s) => ({_FINGERPRINT})(s).contrast > 40", arg=stream, timeout=_SLOW)
        first = self.picture(stream)["sum"]
        self.page.wait_for_function(
            f"([s, first]) => ({_FINGERPRINT})(s).sum !== first", arg=[stream, first], timeout=_SLOW
        )


@pytest.fixture
def watched(context: BrowserContext, site: "Site") -> Iterator[Watched]:
    watched = Watched(context.new_page())
    watched.page.goto(site.url)
    yield watched
    watched.page.close()


@pytest.fixture
def photograph(photographs: Path) -> Path:
    """A photograph of one who is in the clip, taken elsewhere."""
    return photographs / "demo-portraits" / "obama3.jpg"


@pytest.fixture
def two_people(still: Callable[[str], Image], tmp_path: Path) -> Path:
    """A photograph of two."""
    path = tmp_path / "two people.jpg"
    path.write_bytes(encode_jpeg(still(TWO_PEOPLE)))
    return path


def _wait_until(page: Page, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20 * SLOWNESS
    while not holds():
        assert time.monotonic() < deadline
        page.wait_for_timeout(50)


def _enrol(page: Page, name: str, photos: list[Path]) -> None:
    page.get_by_role("button", name="Enrol someone").click()
    page.get_by_label("Name").fill(name)
    page.locator("#photos").set_input_files(photos)
    page.get_by_role("button", name="Enrol", exact=True).click()


def _delete(page: Page, name: str) -> None:
    page.get_by_role("button", name=f"Delete {name}").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name=name, exact=True)).to_have_count(0, timeout=_SLOW)


def test_a_live_stream_moves(watched: Watched) -> None:
    watched.wait_for_movement("clip")
    tile = watched.page.locator('[data-stream="clip"]')
    expect(tile).to_contain_text(re.compile(r"\d+\.\d fps · \d+.* old · \d+ face"))
    expect(tile.locator(".veil")).to_be_hidden()
    assert watched.errors == []


def _told(**fields: Any) -> dict[str, Any]:
    """Return a stream as the worker tells of it."""
    now = int(time.time() * 1000)
    told = {
        "live": True, "width": 640, "height": 360, "fps": 0.0, "age": 0.1, "faces": 0, "frames": 100,
        "waiting": 0, "skipped": {}, "skipping": 0.0, "captured": now - 180_000, "updated": now - 180_000,
        "arrived": now - 180_000, "silent_for": 180, "worker": "here:1", "mjpeg": "/streams/clip.mjpeg",
    }  # fmt: skip
    return told | fields


def _in_every_state() -> list[dict[str, Any]]:
    return [
        _told(name="busy", state="overloaded", fps=2.1, skipping=7.9, skipped={"too-old": 1234}),
        _told(name="lost", state="overloaded", skipping=10.0, skipped={"too-old": 98, "other": 2}),
        _told(name="next", state="waiting", live=False, waiting=16, frames=0),
        _told(name="once", state="silent"),
    ]


def test_what_these_streams_tell_is_what_a_worker_tells(site: "Site") -> None:
    (clip,) = [stream for stream in request(f"{site.url}/streams")["streams"] if stream["name"] == "clip"]
    assert clip.keys() == _told(name="clip", state="live").keys()


@pytest.mark.parametrize("device", ["context", "phone"])
def test_a_stream_says_how_it_is(device: str, site: "Site", request: pytest.FixtureRequest) -> None:
    watched = Watched(request.getfixturevalue(device).new_page())
    page = watched.page
    page.route("**/streams", lambda route: route.fulfill(json={"streams": _in_every_state()}))
    page.goto(site.url)

    def says(stream: str, chip: str, facts: str, veil: str) -> None:
        tile = page.locator(f'[data-stream="{stream}"]')
        expect(tile.locator(".chip")).to_have_text(chip)
        expect(tile.locator(".facts")).to_have_text(facts)
        expect(tile.locator(".veil")).to_have_text(veil)

    says("busy", "Overloaded", "1,234 frames skipped · 2.1 fps", "overloaded, 1,234 frames skipped")
    says("lost", "Overloaded", "none recognised for 3 min", "overloaded, 100 frames skipped")
    says("next", "Waiting", "none recognised yet", "waiting, 16 frames")
    says("once", "Silent", "", "silent for 3 min")
    expect(page.locator("#streams-note")).to_have_text(
        "0 streams live · 2 overloaded · 1 waiting · 1 silent · 2 frames/s"
    )
    cut = "(all) => all.filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.textContent)"
    assert page.locator(".facts, .chip, .veil").evaluate_all(cut) == []


def test_a_stream_is_enlarged_and_closed_by_keyboard(watched: Watched) -> None:
    page = watched.page
    button = page.get_by_role("button", name="Enlarge clip", exact=True)
    button.press("Enter")
    dialog = page.get_by_role("dialog", name="clip")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(button).to_be_focused()


def test_who_is_enrolled_is_named_on_the_stream_and_in_the_list(watched: Watched, photograph: Path) -> None:
    page = watched.page
    _enrol(page, "Barack Obama", [photograph])
    expect(page.get_by_role("heading", name="Barack Obama")).to_be_visible(timeout=_SLOW)
    try:
        # What is out of sight is not looked at; where there are more streams, the form is further down.
        page.locator("[data-stream=clip]").scroll_into_view_if_needed()
        named = page.get_by_role("list", name="In the picture of clip", exact=True).get_by_text(
            "Barack Obama"
        )
        expect(named).to_be_visible(timeout=_SLOW)
        seen = page.locator("#sightings li", has_text="Barack Obama").first
        expect(seen).to_be_visible(timeout=_SLOW)
        expect(seen).to_contain_text("clip")
        thumb = page.get_by_role("img", name="Barack Obama, photograph 1")
        expect(thumb).to_have_js_property("naturalWidth", 112)
    finally:
        _delete(page, "Barack Obama")


def test_a_refused_photograph_says_why(watched: Watched, two_people: Path, tmp_path: Path) -> None:
    text = tmp_path / "letter.jpg"
    text.write_text("Dear Onlooker, this is a letter.")
    wall = tmp_path / "wall.png"
    cv2.imwrite(str(wall), np.full((480, 640, 3), 180, np.uint8))
    page = watched.page
    _enrol(page, "Nobody", [text, wall, two_people])
    photos = page.get_by_role("list", name="Chosen photographs").locator("> li")
    expect(photos.nth(0)).to_contain_text("not a JPEG, PNG or WebP", timeout=_SLOW)
    expect(photos.nth(1)).to_contain_text("No face was found")
    expect(photos.nth(2)).to_contain_text("There are 2 faces. Which one is it?")
    expect(page.get_by_text("Nothing is enrolled yet: 3 of 3 photographs need a look.")).to_be_visible()
    expect(page.get_by_role("heading", name="Nobody", exact=True)).to_have_count(0)


def test_a_face_is_chosen_by_keyboard(watched: Watched, two_people: Path) -> None:
    page = watched.page
    _enrol(page, "Second of two", [two_people])
    first = page.get_by_role("radio", name=re.compile("Face 1"))
    expect(first).to_be_focused(timeout=_SLOW)
    first.press("ArrowRight")
    expect(page.get_by_text("Face 2 of 2 is chosen.")).to_be_visible()
    expect(page.locator("#enrol-error")).to_be_empty()
    page.get_by_label("Name").press("Enter")
    expect(page.get_by_role("heading", name="Second of two")).to_be_visible(timeout=_SLOW)
    expect(page.get_by_role("button", name="Add photographs of Second of two")).to_be_focused()
    _delete(page, "Second of two")


def test_it_fits_a_small_phone(phone: BrowserContext, site: "Site") -> None:
    watched = Watched(phone.new_page())
    page = watched.page
    page.goto(site.url)
    watched.wait_for_movement("clip")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.get_by_role("button", name="Enrol someone").click()
    box = page.locator("#enrol").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 360
    assert watched.errors == []


def test_eight_streams_move_at_once(watched: Watched, site: "Site") -> None:
    names = ["clip", *(f"clip-{number}" for number in range(2, 9))]
    watched.page.set_viewport_size({"width": 1920, "height": 1400})
    with site.streams(*names[1:]):
        for name in names:
            watched.wait_for_movement(name)
    assert watched.errors == []


def test_pictures_that_cannot_be_seen_are_not_asked_for(context: BrowserContext, site: "Site") -> None:
    page = context.new_page()
    page.set_viewport_size({"width": 700, "height": 400})
    with page.expect_websocket() as opened:
        page.goto(site.url)
    wishes: list[str] = []
    opened.value.on("framesent", lambda sent: wishes.append(str(sent)))
    page.wait_for_function("() => document.querySelector('[data-stream=clip] .veil')?.hidden", timeout=_SLOW)
    page.locator("body").evaluate("(body) => { body.style.paddingBottom = '5000px' }")
    page.evaluate("() => scrollTo({ top: 5000, behavior: 'instant' })")
    _wait_until(page, lambda: wishes[-1:] == ['{"watch":[]}'])
    page.evaluate("() => scrollTo({ top: 0, behavior: 'instant' })")
    _wait_until(page, lambda: '"clip"' in wishes[-1])


def test_a_worker_that_goes_away_is_announced_and_comes_back(watched: Watched, site: "Site") -> None:
    watched.wait_for_movement("clip")
    banner = watched.page.locator("#banner")
    expect(banner).to_be_hidden()
    site.stop()
    try:
        expect(banner).to_have_text("The worker is not answering; trying again…", timeout=_SLOW)
    finally:
        site.start()
    expect(banner).to_be_hidden(timeout=_SLOW)
    watched.wait_for_movement("clip")
