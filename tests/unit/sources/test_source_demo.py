"""The demonstration camera."""

import itertools
import math
from contextlib import closing

import numpy as np
import pytest

from app.settings import Settings
from app.sources import SourceError, SourceOptions
from app.sources.demo import DEMO_PEOPLE, DemoSource, Scene, demo_photo, standing


@pytest.fixture(scope="module")
def photos(photographs):
    return photographs / "demo-portraits"


@pytest.fixture(scope="module")
def scene(photos) -> Scene:
    return Scene(photos)


def test_people_come_and_go(scene):
    room = scene.draw(13).astype(int)
    shares = [(np.abs(scene.draw(t) - room).max(axis=2) > 24).mean() for t in (0, 3, 6, 13, 18, 23.5, 31)]
    assert shares[3] == shares[5] == 0
    assert all(0.15 < share < 0.8 for share in (shares[0], shares[1], shares[4]))
    assert shares[2] > 0.3 and shares[6] > 0.3


def test_somebody_stands_there_from_the_first_picture_on(scene):
    room = scene.draw(13).astype(int)
    seen = np.abs(scene.draw(0) - room).max(axis=2)[:, :480] > 24
    assert seen.mean() > 0.25


@pytest.mark.parametrize(
    ("seconds", "names"),
    [(0, set()), (0.4, {"Barack Obama"}), (6.0, {"Barack Obama", "Joe Biden"}), (8.0, {"Joe Biden"}),
     (13, set()), (15.2, set()), (18, {"Barack Obama"}), (31, {"Barack Obama", "Joe Biden"}),
     (33, {"Barack Obama"}), (40.4, {"Barack Obama"}), (94, set()), (98, {"Barack Obama"})],
)  # fmt: skip
def test_who_stands_there_is_known(scene, seconds, names):
    assert standing(seconds) == names
    shown = (np.abs(scene.draw(seconds).astype(int) - scene.draw(13)).max(axis=2) > 24).mean()
    assert shown >= 0.12 * len(names)


def test_paths_are_smooth(scene):
    frames = [scene.draw(number / 12).astype(int) for number in range(24, 36)]
    assert all(0 < np.abs(a - b).mean() < 12 for a, b in itertools.pairwise(frames))


def test_the_same_seed_gives_the_same_pictures(photos, scene):
    assert all((Scene(photos).draw(t) == scene.draw(t)).all() for t in (0, 17.5, 58.25))
    assert any((Scene(photos, seed=1).draw(t) != scene.draw(t)).any() for t in (17.5, 58.25))


def test_a_folder_without_the_photographs_is_an_error(tmp_path):
    with pytest.raises(SourceError, match="not an image"):
        Scene(tmp_path)


def test_the_camera_is_live_and_endless(photos, tmp_path):
    source = DemoSource(SourceOptions(fps=math.inf), _mirrored(photos, tmp_path))
    with closing(source.pictures()) as pictures:
        taken = list(itertools.islice(pictures, 25))
    assert source.live
    assert {picture.image.shape for picture in taken} == {(540, 960, 3)}
    assert taken[24].pts == 2000
    assert taken[24].captured - taken[0].captured == 2000


def test_each_person_has_a_photograph(photos, tmp_path):
    settings = _mirrored(photos, tmp_path)
    for person in DEMO_PEOPLE:
        assert demo_photo(person.name, settings).read_bytes() == (photos / person.photo).read_bytes()
    with pytest.raises(SourceError, match="nobody of the demonstration"):
        demo_photo("Nobody", settings)


def _mirrored(photos, folder) -> Settings:
    """Return settings whose weights come from the photographs and land in `folder`."""
    catalogue = Settings().weights_dir / "catalogue.toml"
    (folder / "catalogue.toml").write_bytes(catalogue.read_bytes())
    return Settings(weights_dir=folder, weights_mirror=photos)
