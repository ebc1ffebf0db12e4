"""`onlooker calibrate` writes a threshold that the next worker takes, and what it rests on."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faust.cli.worker  # noqa: F401
import pytest
import tomli_w
from crowd import people

from app.application import create_app
from app.evaluation import calibrate_pooled, join_threshold
from app.search import Confidence
from app.settings import load_settings
from app.weights.catalogue import EmbedderEntry, load_catalogue, read_tables

Run = Callable[..., tuple[int, str, str]]

#: What 542 impostor comparisons support: an FMR of 26 %, 142 false matches of at least 30 pairs of people.
WISH = ("--fpir", 0.6, "--gallery", 3)


def embedder(folder: Path, name: str = "faceplugin-512") -> EmbedderEntry:
    return load_catalogue(folder).embedder(name)


@pytest.fixture
def imported(own_weights: Path) -> str:
    """Return the name of an embedder without a threshold; its file is the shipped one's."""
    shipped: dict[str, Any] = read_tables(Path(__file__).parents[3] / "weights/catalogue.toml")[
        "faceplugin-512"
    ]
    table = {key: value for key, value in shipped.items() if key not in {"threshold", "figures", "package"}}
    (own_weights / "local.toml").write_text(tomli_w.dumps({"mine": table | {"source": "user"}}))
    return "mine"


async def test_the_threshold_is_what_identify_takes(onlooker: Run, few: Path, own_weights: Path) -> None:
    before = embedder(own_weights)
    code, output, _ = onlooker("calibrate", few, *WISH)
    assert code == 0
    after = embedder(own_weights)
    settings = load_settings()
    assert before.threshold != after.threshold
    assert f"the threshold of faceplugin-512 is {after.threshold:g}" in output
    assert create_app(settings).components.gallery.threshold == after.threshold
    assert after.files == before.files


def test_what_it_rests_on_is_written_beside_it(onlooker: Run, few: Path, own_weights: Path) -> None:
    onlooker("calibrate", few, *WISH)
    catalogue = load_catalogue(own_weights)
    found = embedder(own_weights).calibration
    assert found is not None
    assert (found.fpir, found.gallery, found.comparisons, found.dataset) == (0.6, 3, 542, "few")
    assert 30 <= found.false_matches <= 142
    assert found.identified == 1.0
    assert found.detector == catalogue.detector("centerface").identity
    assert found.embedder == catalogue.embedder("faceplugin-512").identity


def test_an_embedder_without_a_threshold_gets_one(
    onlooker: Run, few: Path, own_weights: Path, imported: str
) -> None:
    assert embedder(own_weights, imported).threshold is None
    code, output, _ = onlooker("calibrate", few, *WISH, "--embedder", imported)
    assert code == 0
    assert "threshold until now" in output
    threshold = embedder(own_weights, imported).threshold
    assert threshold is not None
    assert 0 < threshold < 0.5
    # The other net's stays.
    assert embedder(own_weights).threshold == 0.49


def test_what_so_few_people_cannot_tell_of_visits_is_said_and_left_as_it_was(
    onlooker: Run, few: Path, own_weights: Path
) -> None:
    before = embedder(own_weights)
    code, output, _ = onlooker("calibrate", few, *WISH)
    assert code == 0
    assert "not measured: a false match rate of 0.001 needs 30,000 comparisons" in output
    assert output.count("could be searched for in one half of the dataset, 30 are needed") == 2
    after = embedder(own_weights)
    assert (after.visit_threshold, after.confidence) == (before.visit_threshold, before.confidence)


def test_what_is_learnt_of_visits_is_what_a_worker_takes(
    onlooker: Run, few: Path, own_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd = people(100, 300, 1.5)
    monkeypatch.setattr("app.evaluation.sample.Sample.faces_of_people", crowd)
    code, output, _ = onlooker("calibrate", few, *WISH)
    assert code == 0
    assert "confidence of single faces" in output
    assert "confidence of several faces in one template" in output
    # What few people cannot tell of single faces was asked for; of the crowd's templates it can be told.
    found, joining = embedder(own_weights), join_threshold(crowd)
    pooled = calibrate_pooled(crowd, 0.6, 3, 0.05)
    assert found.pooled_threshold == found.pooled_threshold_or(None) == pooled.threshold != found.threshold
    assert found.calibration is not None
    assert found.calibration.pooled is not None
    assert found.calibration.pooled.false_matches == pooled.false_matches
    assert found.visit_threshold == joining.threshold
    assert found.confidence is not None
    components = create_app(load_settings()).components
    assert components.gallery.pooled_threshold == pooled.threshold
    rules = components.partitions._rules
    assert (rules.naming.threshold, rules.naming.pooled_threshold) == (found.threshold, pooled.threshold)
    assert rules.join == joining.threshold
    assert rules.naming.confidence == Confidence(found.confidence.single, found.confidence.pooled)


def test_what_so_few_people_cannot_tell_of_several_faces_is_said_and_one_threshold_counts(
    onlooker: Run, few: Path, own_weights: Path
) -> None:
    (own_weights / "local.toml").write_text('["faceplugin-512"]\npooled_threshold = 0.7\n')
    code, output, _ = onlooker("calibrate", few, *WISH)
    assert code == 0
    assert "several faces in one template" in output
    assert "none: a false-positive rate of 0.6 in a gallery of 3 needs" in output
    assert "it counts for several faces in one template too, for which none was written" in output
    after = embedder(own_weights)
    assert after.pooled_threshold_or(None) == after.threshold
    assert after.calibration is not None
    assert after.calibration.pooled is None


def test_a_dry_run_writes_nothing(onlooker: Run, few: Path, own_weights: Path) -> None:
    code, output, _ = onlooker("calibrate", few, *WISH, "--dry-run")
    assert code == 0
    assert "false matches of 542 impostor comparisons" in output
    assert "nothing was written" in output
    assert not (own_weights / "local.toml").exists()


def test_the_last_line_says_which_detector_it_holds_for(onlooker: Run, few: Path) -> None:
    for dry in ((), ("--dry-run",)):
        _, output, _ = onlooker("calibrate", few, *WISH, *dry)
        said = "it holds for faces that centerface finds; with another detector, calibrate again"
        assert (output.splitlines()[-1] == said) != bool(dry)


def test_a_try_out_beyond_chance_is_said(onlooker: Run, few: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, output, _ = onlooker("calibrate", few, *WISH, "--dry-run")
    assert "MORE THAN CHANCE" not in output
    # Whatever is less certain than that is beyond chance.
    monkeypatch.setattr("app.evaluation.check._CHANCE", 2.0)
    code, output, _ = onlooker("calibrate", few, *WISH, "--dry-run")
    assert code == 0
    assert "MORE THAN CHANCE" in output


def test_copies_of_one_picture_are_refused(
    onlooker: Run, few: Path, own_weights: Path, tmp_path: Path
) -> None:
    picture = next((few / "images").glob("*/*.jpg"))
    for person in (few / "images").iterdir():
        (tmp_path / "copies" / person.name).mkdir(parents=True)
        for name in ("1.jpg", "2.jpg"):
            (tmp_path / "copies" / person.name / name).symlink_to(picture)
    code, output, errors = onlooker("calibrate", tmp_path / "copies", *WISH)
    assert (code, output) == (2, "")
    assert errors.endswith("are there copies of one picture under several names?\n")
    assert not (own_weights / "local.toml").exists()


def test_people_and_a_dataset_may_be_called_by_no_text(
    onlooker: Run, few: Path, own_weights: Path, tmp_path: Path
) -> None:
    odd = tmp_path / os.fsdecode(b"Ren\xe9")
    odd.mkdir()
    for person in (few / "images").iterdir():
        (odd / os.fsdecode(person.name.encode() + b"\xff")).symlink_to(person)
    code, output, _ = onlooker("calibrate", odd, *WISH)
    assert code == 0
    assert r"on Ren\udce9" in output
    found = embedder(own_weights).calibration
    assert found is not None
    assert found.dataset == r"Ren\udce9"


def test_a_second_calibration_replaces_the_first(onlooker: Run, few: Path, own_weights: Path) -> None:
    onlooker("calibrate", few, *WISH)
    first = embedder(own_weights)
    onlooker("calibrate", few, "--fpir", 0.5, "--gallery", 1)
    second = embedder(own_weights)
    assert first.calibration is not None
    assert second.calibration is not None
    assert (first.calibration.gallery, second.calibration.gallery) == (3, 1)
    assert first.threshold is not None
    assert second.threshold is not None
    assert second.threshold < first.threshold


def test_a_rate_that_cannot_be_supported_is_refused(onlooker: Run, few: Path, own_weights: Path) -> None:
    code, output, errors = onlooker("calibrate", few, "--fpir", 0.01, "--gallery", 1000)
    assert (code, output) == (2, "")
    last = errors.splitlines()[-1]
    assert last.startswith("onlooker: a false-positive rate of 0.01 in a gallery of 1000 needs 2,984,")
    assert "impostor comparisons" in last
    assert last.endswith("the dataset has 542")
    assert not (own_weights / "local.toml").exists()


def test_one_person_is_refused(onlooker: Run, few: Path, tmp_path: Path) -> None:
    person = sorted((few / "images").iterdir())[0]
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / person.name).symlink_to(person)
    code, _, errors = onlooker("calibrate", tmp_path / "one", *WISH)
    assert code == 2
    assert errors == "onlooker: a threshold needs pictures of at least two people, found one person\n"


def test_a_threshold_in_the_settings_still_counts_and_is_said_to(
    onlooker: Run, environment: pytest.MonkeyPatch, few: Path
) -> None:
    environment.setenv("ONLOOKER_THRESHOLD", "0.6")
    code, output, _ = onlooker("calibrate", few, *WISH)
    assert code == 0
    assert "but ONLOOKER_THRESHOLD is set, to 0.6" in output


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--fpir", "0"),
        ("--fpir", "1"),
        ("--fpir", "nan"),
        ("--fpir", "5e-324"),
        ("--fpir", "1e-300"),
        ("--gallery", "0"),
        ("--gallery", "10000000000"),
        ("--gallery", "1" * 400),
        ("--gallery", "1" * 5000),
    ],
)
def test_nonsense_is_one_line(onlooker: Run, tmp_path: Path, option: str, value: str) -> None:
    """It is said before any picture is looked at: this folder has none."""
    request = {"--fpir": "0.2", "--gallery": "3"} | {option: value}
    code, output, errors = onlooker(
        "calibrate", tmp_path, *(word for pair in request.items() for word in pair)
    )
    assert (code, output) == (2, "")
    assert (errors.startswith("onlooker: "), errors.count("\n")) == (True, 1)
    assert option.removeprefix("--") in errors or "expected a rate" in errors
