"""`onlooker evaluate` measures a small dataset of real faces."""

import json
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest

from app.weights.catalogue import load_catalogue

Run = Callable[..., tuple[int, str, str]]


def test_the_figures_as_json_alone(onlooker: Run, few: Path, own_weights: Path) -> None:
    code, output, _ = onlooker("evaluate", few, "--json", "-", "--threads", 2)
    assert code == 0
    figures = json.loads(output)
    assert figures["dataset"] == {
        "name": "few", "people": 14, "images": 35, "images_without_a_face": 0, "pairs": 8,
    }  # fmt: skip
    catalogue = load_catalogue(own_weights)
    for kind, entry in (
        ("detector", catalogue.detector("centerface")),
        ("embedder", catalogue.embedder("faceplugin-512")),
    ):
        assert figures[kind]["identity"] == entry.identity
        assert figures[kind]["sha256"] == [file.sha256 for file in entry.files]
    assert figures["settings"] == {
        "detection_side": 640, "detection_score": 0.5, "min_face": 24, "embed_score": 0.5,
    }  # fmt: skip
    assert {"onnxruntime", "numpy", "python"} <= set(figures["versions"])


def test_real_faces_are_told_apart(onlooker: Run, few: Path) -> None:
    figures = json.loads(onlooker("evaluate", few, "--json", "-")[1])
    verification, identification = figures["verification"], figures["identification"]
    assert (verification["pairs"], len(verification["folds"]), verification["attempts"]) == (8, 2, 4)
    assert verification["accuracy"] >= 0.75
    assert (identification["enrolled"], identification["strangers"]) == (7, 7)
    assert (identification["probes"], identification["stranger_probes"]) == (21, 7)
    assert identification["rank1"] == 1.0
    # 35 pictures make 595 comparisons.
    comparisons = figures["comparisons"]
    assert (comparisons["genuine"], comparisons["impostors"]) == (53, 542)
    one, less = comparisons["points"][:2]
    assert (one["rate"], one["false_accepts"], one["comparisons"]) == (0.01, 5, 542)
    assert one["hits"] > 0.9
    assert 0.1 < one["threshold"] < 0.5
    assert (less["threshold"], less["hits"], less["needed"]) == (None, None, 1000)


def test_nobody_is_named_and_no_path_is_told(onlooker: Run, few: Path) -> None:
    _, output, errors = onlooker("evaluate", few, "--json", "-")
    names = [person.name for person in (few / "images").iterdir()]
    assert not [name for name in names if name in output + errors]
    assert str(few.parent) not in output + errors


def test_the_tables_say_what_is_not_supported(onlooker: Run, few: Path, tmp_path: Path) -> None:
    code, output, _ = onlooker("evaluate", few, "--json", tmp_path / "figures.json")
    assert code == 0
    assert "few: 14 people, 35 pictures, 0 of them without a face" in output
    assert "verification, 8 pairs" in output
    assert "(2 folds)" in output
    assert "7 attempts, 100 needed" in output
    assert json.loads((tmp_path / "figures.json").read_text())["dataset"]["pairs"] == 8


def test_a_folder_of_people_alone_has_no_folds(onlooker: Run, few: Path) -> None:
    code, output, _ = onlooker("evaluate", few / "images")
    assert code == 0
    assert "no list of pairs: verification is not measured by folds" in output
    assert "identification, 7 people enrolled" in output


def test_a_list_by_itself_with_its_pictures_elsewhere(onlooker: Run, few: Path, tmp_path: Path) -> None:
    listed = tmp_path / "pairsDevTest.txt"
    lines = (few / "pairs.txt").read_text().splitlines()
    listed.write_text("\n".join(["2", *lines[1:5]]))
    code, output, _ = onlooker("evaluate", listed, "--images", few / "images")
    assert code == 0
    assert "verification, 4 pairs" in output
    assert "one fold: threshold chosen on the same pairs" in output


def test_the_second_run_needs_no_nets(onlooker: Run, few: Path, own_weights: Path) -> None:
    first = onlooker("evaluate", few, "--json", "-")[1]
    for net in own_weights.glob("*.onnx"):
        net.unlink()
    code, output, errors = onlooker("evaluate", few, "--json", "-")
    assert (code, output, errors) == (0, first, "")


def test_old_embeddings_and_those_of_former_code_are_deleted(
    onlooker: Run, environment: pytest.MonkeyPatch, few: Path, tmp_path: Path
) -> None:
    environment.setenv("ONLOOKER_DATA_DIR", str(tmp_path / "data"))
    environment.setenv("ONLOOKER_MEMORY_DAYS", "30")
    (tmp_path / "one").mkdir()
    person = next(person for person in sorted((few / "images").iterdir()) if len(list(person.iterdir())) == 1)
    (tmp_path / "one" / person.name).symlink_to(person)
    onlooker("evaluate", tmp_path / "one")
    day = 24 * 3600
    with closing(sqlite3.connect(tmp_path / "data" / "embeddings.sqlite")) as database, database:
        (known,) = database.execute("SELECT fingerprint FROM faces").fetchone()
        rows = [
            (known, "old", None, None, time.time() - 31 * day),
            (known, "newer", None, None, time.time() - 29 * day),
            ("former" + known, "new", None, None, time.time()),
        ]
        database.executemany("INSERT INTO faces VALUES (?, ?, ?, ?, ?)", rows)
    onlooker("evaluate", tmp_path / "one")
    with closing(sqlite3.connect(tmp_path / "data" / "embeddings.sqlite")) as database:
        left = {picture for (picture,) in database.execute("SELECT picture FROM faces")}
    assert len(left) == 2
    assert "newer" in left


def test_the_picture_shows_something(onlooker: Run, few: Path, tmp_path: Path) -> None:
    for dataset in (few, few / "images"):
        code, *_ = onlooker("evaluate", dataset, "--picture", tmp_path / "roc.png")
        assert code == 0
        data = (tmp_path / "roc.png").read_bytes()
        assert data.startswith(b"\x89PNG")
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert image is not None
        assert image.shape == (720, 1650, 3)
        # Both halves have a curve or bars: more than white paper and black dead_letters.
        for half in (image[:, :825], image[:, 825:]):
            coloured = half.max(axis=2).astype(int) - half.min(axis=2) > 60
            assert coloured.sum() > 500


@pytest.mark.parametrize("name", [r"cost$\frac$x", "日本語", os.fsdecode(b"Ren\xe9"), "two\nlines"])
def test_the_dataset_may_be_called_anything(onlooker: Run, few: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    for person in (few / "images").iterdir():
        (tmp_path / name / person.name).symlink_to(person)
    figures = tmp_path / "figures.json"
    code, output, errors = onlooker(
        "evaluate", tmp_path / name, "--picture", tmp_path / "roc.png", "--json", figures
    )
    assert (code, errors) == (0, "")
    told = json.loads(figures.read_text())["dataset"]["name"]
    assert told.isprintable()
    assert f"{told}: 14 people" in output
    assert (tmp_path / "roc.png").stat().st_size > 1000


def test_where_nobody_has_two_pictures_that_is_the_reason(onlooker: Run, few: Path, tmp_path: Path) -> None:
    for person in (few / "images").iterdir():
        (tmp_path / "singles" / person.name).mkdir(parents=True)
        (tmp_path / "singles" / person.name / "1.jpg").symlink_to(sorted(person.iterdir())[0])
    code, output, _ = onlooker("evaluate", tmp_path / "singles")
    assert code == 0
    assert output.count("there are no two pictures of one person") == 5
    assert "needed" not in output


@pytest.fixture
def visited(few: Path, tmp_path: Path) -> Path:
    """Return a dataset in which one has four pictures, of which two have no face, and one has two."""
    folder = tmp_path / "visited"
    people = sorted((few / "images").iterdir(), key=lambda person: -len([*person.iterdir()]))
    for person, count in zip(people, (2, 4, 2, 3, 1), strict=False):
        (folder / person.name).mkdir(parents=True)
        for picture in sorted(person.iterdir())[:count]:
            (folder / person.name / picture.name).symlink_to(picture)
    blank = np.zeros((100, 100, 3), np.uint8)
    for number in (8, 9):
        blank[0, 0] += 1
        assert cv2.imwrite(str(folder / people[0].name / f"z_{number}.png"), blank)
    return folder


def test_several_pictures_in_one_template_are_measured(onlooker: Run, visited: Path, tmp_path: Path) -> None:
    code, output, _ = onlooker("evaluate", visited, "--json", tmp_path / "figures.json")
    assert code == 0
    assert (
        "pooling, 2 people searched for by 3 pictures each (0 without a face in any), and 2 strangers by two"
        " or 3 each (0 without a face in any), 3 people enrolled with another one (0 more have no face in it)"
    ) in " ".join(output.split())
    table = output[output.index("pooling,") :].splitlines()
    rows = {line.split("│")[1].strip(): line.split("│")[2:5] for line in table if line.startswith("│")}
    # Of one of the two, two of the three pictures have no face.
    assert {what: cells[0].strip() for what, cells in rows.items()} == {
        "one of them, on average": "66.67 %",
        "the best of them": "100.00 %",
        "all in one template": "100.00 %",
    }
    assert {cell.strip() for cells in rows.values() for cell in cells[1:]} == {"not supported"}
    found = json.loads((tmp_path / "figures.json").read_text())["pooling"]
    counts = {name: value for name, value in found.items() if isinstance(value, int)}
    assert counts == {
        "enrolled": 3, "not_enrolled": 0, "people": 2, "people_without_face": 0, "strangers": 2,
        "strangers_without_face": 0,
    }  # fmt: skip
    assert [found[way]["rank1"] for way in ("single", "best", "pooled")] == pytest.approx([2 / 3, 1, 1])
    point = found["pooled"]["points"][0]
    assert (point["rate"], point["comparisons"], point["hits"]) == (0.01, 2, None)
    assert point["why_not"] == "2 attempts, 100 needed"


def test_where_nobody_has_pictures_to_pool_that_is_said(onlooker: Run, few: Path, tmp_path: Path) -> None:
    for person in (few / "images").iterdir():
        (tmp_path / "pairs" / person.name).mkdir(parents=True)
        for picture in sorted(person.iterdir())[:2]:
            (tmp_path / "pairs" / person.name / picture.name).symlink_to(picture)
    code, output, _ = onlooker("evaluate", tmp_path / "pairs", "--json", tmp_path / "figures.json")
    assert code == 0
    assert "nobody has 4 pictures, or nobody has two or 3" in output
    assert "pooling," not in output
    assert json.loads((tmp_path / "figures.json").read_text())["pooling"] is None


def test_files_are_refused_before_the_work(onlooker: Run, few: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for name, files in {
        "name the same file": ("--json", data / "x", "--picture", data / ".." / "data" / "x"),
        "cannot be written": ("--json", "/proc/figures.json"),
        "is a directory": ("--picture", data),
        "expected the name of a file, found nothing": ("--picture", ""),
        "--json: expected the name of a file, found nothing": ("--json", ""),
    }.items():
        code, output, errors = onlooker("evaluate", few, *files)
        assert (code, output, errors.count("\n")) == (2, "", 1)
        assert name in errors.replace("'", "")
    assert list(data.iterdir()) == []


def test_a_file_that_is_there_is_written_anew(onlooker: Run, few: Path, tmp_path: Path) -> None:
    (tmp_path / "figures.json").write_text("former figures, which were longer" * 1000)
    assert onlooker("evaluate", few, "--json", tmp_path / "figures.json", "--picture", "/dev/null")[0] == 0
    assert json.loads((tmp_path / "figures.json").read_text())["dataset"]["people"] == 14


def test_a_full_disk_does_not_take_the_tables_away(onlooker: Run, few: Path) -> None:
    code, output, errors = onlooker("evaluate", few, "--json", "/dev/full")
    assert code == 2
    assert "identification, 7 people enrolled" in output
    assert errors.endswith("No space left on device\n")


def test_a_single_picture_can_be_drawn(onlooker: Run, few: Path, tmp_path: Path) -> None:
    person = next(person for person in sorted((few / "images").iterdir()) if len(list(person.iterdir())) == 1)
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / person.name).symlink_to(person)
    code, output, _ = onlooker("evaluate", tmp_path / "one", "--picture", tmp_path / "roc.png")
    assert code == 0
    assert "nobody has two pictures: identification is not measured" in output
    assert (tmp_path / "roc.png").stat().st_size > 1000


def test_pictures_without_faces_are_counted(onlooker: Run, few: Path, tmp_path: Path) -> None:
    folder = tmp_path / "more"
    folder.mkdir()
    for person in (few / "images").iterdir():
        (folder / person.name).symlink_to(person)
    blank = np.zeros((100, 100, 3), np.uint8)
    for name in ("Nobody_A", "Nobody_B"):
        (folder / name).mkdir()
        for number in (1, 2):
            blank[0, 0] += 1
            assert cv2.imwrite(str(folder / name / f"{number}.png"), blank)
    figures = json.loads(onlooker("evaluate", folder, "--json", "-")[1])
    assert figures["dataset"]["images_without_a_face"] == 4
    found = figures["identification"]
    assert (found["enrolled"], found["not_enrolled"]) == (7, 2)
    assert (found["probes"], found["probes_without_face"]) == (23, 2)
    assert found["rank1"] == pytest.approx(21 / 23)


def test_a_gate_that_refuses_every_face_leaves_nothing(
    onlooker: Run, environment: pytest.MonkeyPatch, few: Path
) -> None:
    environment.setenv("ONLOOKER_MIN_FACE", "240")
    code, output, errors = onlooker("evaluate", few)
    assert (code, output) == (2, "")
    assert errors.splitlines()[-1] == "onlooker: few: none of the 35 pictures has a face that can be used"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["{few}", "--detector", "nonsense"], "unknown entry 'nonsense'"),
        (["{few}", "--detector", "faceplugin-512"], "cannot serve as detector"),
        (["{few}", "--embedder", "centerface"], "cannot serve as embedder"),
        (["{few}", "--threads", "0"], "--threads"),
        (["{few}", "--images", "/no/such/folder"], "/no/such/folder"),
        (["{few}", "--json", "/no/such/folder/figures.json"], "the folder /no/such/folder does not exist"),
        (["{few}", "--picture", "/no/such/folder/roc.png"], "the folder /no/such/folder does not exist"),
        (["/no/such/dataset"], "/no/such/dataset"),
        (["{empty}"], "expected a folder for each person, found none"),
        (["{broken}"], "face.jpg: cannot identify the image"),
        (["{few}/pairs.txt", "--images", "{broken}"], "pairs.txt:2: there is no folder with pictures of"),
        ([], "DATASET"),
    ],
)
def test_what_is_wrong_is_one_line(
    onlooker: Run, few: Path, tmp_path: Path, arguments: list[str], says: str
) -> None:
    folders = {"few": few, "empty": tmp_path / "empty", "broken": tmp_path / "broken"}
    folders["empty"].mkdir()
    (folders["broken"] / "Ada").mkdir(parents=True)
    (folders["broken"] / "Ada" / "face.jpg").write_bytes(b"no picture")
    code, output, errors = onlooker("evaluate", *(argument.format(**folders) for argument in arguments))
    assert (code, output) == (2, "")
    assert says in errors
    assert (errors.startswith("onlooker: "), errors.count("\n")) == (True, 1)
