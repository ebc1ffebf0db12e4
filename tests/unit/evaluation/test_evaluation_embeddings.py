"""A picture goes through the nets once, and again when it, the nets or the settings are others."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from app.evaluation.cache import Cache, open_cache
from app.evaluation.embeddings import Embeddings
from app.evaluation.errors import DatasetError
from app.evaluation.face import Face
from app.models.images import Image
from app.models.pipeline import Analysis, Recogniser
from app.progress import SilentProgress


class Counted:
    """The product's recogniser, with a count of its work."""

    def __init__(self, recogniser: Recogniser) -> None:
        self._recogniser = recogniser
        self.loaded = 0
        self.analysed = 0

    def load(self) -> Any:
        self.loaded += 1
        return self

    def analyse(self, image: Image) -> Analysis:
        self.analysed += 1
        return self._recogniser.analyse(image)


@pytest.fixture
def counted(recogniser: Recogniser) -> Counted:
    return Counted(recogniser)


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Cache]:
    with open_cache(tmp_path / "c") as opened:
        yield opened


def embeddings(cache: Cache, counted: Counted, fingerprint: str = "fingerprint") -> Embeddings:
    return Embeddings(cache, fingerprint, counted.load, 10_000_000)


@pytest.fixture
def portraits(photographs: Path, tmp_path: Path) -> list[Path]:
    """Copies of two photographs of one person, and one picture without anybody."""
    source = photographs / "demo-portraits"
    paths = []
    for name in ("obama.jpg", "obama2.jpg"):
        image = cv2.imread(str(source / name))
        paths.append(tmp_path / name)
        assert cv2.imwrite(str(paths[-1]), cv2.resize(image, None, fx=0.5, fy=0.5))
    paths.append(tmp_path / "nobody.png")
    assert cv2.imwrite(str(paths[-1]), np.zeros((64, 64, 3), np.uint8))
    return paths


def same(one: Face | None, other: Face | None) -> bool:
    """Tell whether two pictures have a face, and the same."""
    return (
        one is not None
        and other is not None
        and (one.embedding == other.embedding).all()
        and one.quality == other.quality
    )


def test_the_nets_see_each_picture_once(cache: Cache, counted: Counted, portraits: list[Path]) -> None:
    first = embeddings(cache, counted).of(portraits, threads=2)
    assert (counted.loaded, counted.analysed) == (1, 3)
    again = embeddings(cache, counted).of(portraits, threads=2)
    assert (counted.loaded, counted.analysed) == (1, 3)
    one, two, none = (first[path] for path in portraits)
    assert one is not None
    assert two is not None
    assert none is None
    assert float(one.embedding @ two.embedding) > 0.5
    assert 0.5 < one.quality < 1
    for path in portraits[:2]:
        assert same(first[path], again[path])


def test_a_changed_picture_is_looked_at_again(cache: Cache, counted: Counted, portraits: list[Path]) -> None:
    before = embeddings(cache, counted).of(portraits, threads=1)
    portraits[2].write_bytes(portraits[0].read_bytes()[:-2] + b"\0\xff\xd9")
    after = embeddings(cache, counted).of(portraits, threads=1)
    assert counted.analysed == 4
    assert before[portraits[2]] is None
    assert after[portraits[2]] is not None


def test_a_copy_is_not_looked_at(cache: Cache, counted: Counted, portraits: list[Path]) -> None:
    copy = portraits[0].with_name("copy.jpg")
    copy.write_bytes(portraits[0].read_bytes())
    found = embeddings(cache, counted).of([portraits[0], copy], threads=2)
    assert counted.analysed == 1
    assert same(found[copy], found[portraits[0]])


def test_another_way_is_gone_anew(cache: Cache, counted: Counted, portraits: list[Path]) -> None:
    for fingerprint in ("one", "two", "one"):
        embeddings(cache, counted, fingerprint).of(portraits[:1], threads=1)
    assert counted.analysed == 2


def test_a_broken_picture_is_named_and_the_others_are_kept(
    cache: Cache, counted: Counted, portraits: list[Path], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    with pytest.raises(DatasetError, match=r"broken\.jpg: cannot identify the image"):
        embeddings(cache, counted).of([portraits[0], broken], threads=1)
    embeddings(cache, counted).of(portraits[:1], threads=1)
    assert counted.analysed == 1


def test_a_picture_that_is_gone_is_named(cache: Cache, counted: Counted, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"cannot read .*gone\.jpg: No such file"):
        embeddings(cache, counted).of([tmp_path / "gone.jpg"], threads=1)


class Interrupting(SilentProgress):
    """Ctrl-C after the first picture."""

    def advance(self, count: int) -> None:
        raise KeyboardInterrupt


def test_an_interrupted_run_goes_on_where_it_was(
    cache: Cache, counted: Counted, portraits: list[Path]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        embeddings(cache, counted).of(portraits, threads=1, progress=Interrupting())
    done = counted.analysed
    assert done >= 1
    embeddings(cache, counted).of(portraits, threads=1)
    # The first one was kept; at most one more was under way.
    assert counted.analysed <= 4


def test_what_another_run_deletes_meanwhile_is_not_missed(
    cache: Cache, counted: Counted, portraits: list[Path]
) -> None:
    class Deleting(SilentProgress):
        def advance(self, count: int) -> None:
            cache.forget(90, "code of another version")

    first = embeddings(cache, counted).of(portraits[:1], threads=1)
    again = embeddings(cache, counted).of(portraits, threads=1, progress=Deleting())
    assert list(again) == portraits
    assert same(first[portraits[0]], again[portraits[0]])


def test_what_is_taken_from_the_cache_is_of_use(
    cache: Cache, counted: Counted, portraits: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    later = time.time() + 60 * 24 * 3600
    embeddings(cache, counted).of(portraits, threads=1)
    monkeypatch.setattr("app.evaluation.cache.time.time", lambda: later)
    embeddings(cache, counted).of(portraits[:1], threads=1)
    cache.forget(30, "fingerprint")
    embeddings(cache, counted).of(portraits[:1], threads=1)
    assert counted.analysed == 3
    embeddings(cache, counted).of(portraits, threads=1)
    assert counted.analysed == 5
