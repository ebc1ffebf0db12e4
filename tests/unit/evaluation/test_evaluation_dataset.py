"""Datasets are read in the official format; what is wrong is one line with the file and its line."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from app.evaluation.dataset import Dataset, read_dataset
from app.evaluation.errors import DatasetError

TWO_FOLDS = ["2\t1", "Ada_L\t1\t3", "Ada_L\t2\tBo\t1", "Bo\t1\t2", "Cy\t1\tBo\t2"]
READ = [
    ("Ada_L_0001", "Ada_L_0003", True, 0),
    ("Ada_L_0002", "Bo_0001", False, 0),
    ("Bo_0001", "Bo_0002", True, 1),
    ("Cy_0001", "Bo_0002", False, 1),
]


@pytest.fixture
def folder(drawn: Any) -> Path:
    """A dataset's folder with three people in `images`, and no list of pairs yet."""
    images: Path = drawn({"Ada_L": 3, "Bo": 2, "Cy": 1})
    return images.parent


def put(folder: Path, lines: Sequence[str], name: str = "pairs.txt") -> Path:
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    return path


def short(dataset: Dataset) -> list[tuple[str, str, bool, int]]:
    return [(pair.first.stem, pair.second.stem, pair.same, pair.fold) for pair in dataset.pairs]


def test_folds_and_pairs(folder: Path) -> None:
    put(folder, TWO_FOLDS)
    dataset = read_dataset(folder)
    assert short(dataset) == READ
    assert {name: len(theirs) for name, theirs in dataset.people.items()} == {"Ada_L": 3, "Bo": 2, "Cy": 1}


@pytest.mark.parametrize("end", ["\n\n", "\r\n", ""])
def test_spaces_and_line_ends_do_not_matter(folder: Path, end: str) -> None:
    text = (end.strip("\n") + "\n").join(line.replace("\t", "  ") for line in TWO_FOLDS) + end
    (folder / "pairs.txt").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert short(read_dataset(folder)) == READ


def test_a_single_number_is_one_fold(folder: Path) -> None:
    lines = ["2", "Ada_L\t1\t3", "Bo\t1\t2", "Ada_L\t2\tBo\t1", "Cy\t1\tBo\t2"]
    dataset = read_dataset(put(folder, lines, "pairsDevTest.txt"))
    assert [pair.fold for pair in dataset.pairs] == [0, 0, 0, 0]
    assert [pair.same for pair in dataset.pairs] == [True, True, False, False]


def test_without_a_list_there_are_people_alone(folder: Path) -> None:
    for path in (folder, folder / "images"):
        dataset = read_dataset(path)
        assert (list(dataset.people), dataset.pairs) == (["Ada_L", "Bo", "Cy"], ())


def test_the_pictures_may_be_elsewhere(folder: Path, tmp_path: Path) -> None:
    away = tmp_path / "lists"
    away.mkdir()
    put(away, TWO_FOLDS)
    assert short(read_dataset(away, folder / "images")) == READ
    assert short(read_dataset(away / "pairs.txt", folder / "images")) == READ


def test_people_may_lie_beside_the_list(folder: Path) -> None:
    put(folder / "images", TWO_FOLDS)
    assert short(read_dataset(folder / "images")) == READ


def test_pictures_of_any_kind_that_can_be_enrolled_count_and_nothing_else(folder: Path) -> None:
    for name in ("Cy_0002.PNG", "Cy_0003.webp", ".hidden.jpg", "notes.txt", "Thumbs.db"):
        (folder / "images" / "Cy" / name).write_bytes(b"?")
    (folder / "images" / ".cache").mkdir()
    dataset = read_dataset(folder)
    assert [picture.name for picture in dataset.people["Cy"]] == [
        "Cy_0001.jpg",
        "Cy_0002.PNG",
        "Cy_0003.webp",
    ]


@pytest.mark.parametrize(
    ("line", "text", "says"),
    [
        (0, "", r"pairs\.txt:1: expected the numbers of folds and of pairs, found ''"),
        (0, "ten\t300", r"pairs\.txt:1: expected the numbers of folds"),
        (0, "1 2 3", r"pairs\.txt:1: expected the numbers of folds"),
        (0, "0\t2", r"pairs\.txt:1: expected the numbers of folds"),
        (0, "2\t-1", r"pairs\.txt:1: expected the numbers of folds"),
        (0, "3\t1", r"pairs\.txt: expected 6 pairs, as its first line says, found 4"),
        (1, "Ada_L\t1", r"pairs\.txt:2: expected NAME N M .*, found 'Ada_L\\t1'"),
        (1, "Ada_L\t1\tBo\t1", r"pairs\.txt:2: expected NAME N M"),
        (2, "Ada_L\t1\t2", r"pairs\.txt:3: expected NAME N OTHER M"),
        (1, "", r"pairs\.txt:2: expected NAME N M .*, found ''"),
        (1, "Ada_L\t1\tx", r"pairs\.txt:2: expected the number of a picture, found 'x'"),
        (1, "Ada_L\t1\t²", r"pairs\.txt:2: expected the number of a picture, found '²'"),
        (1, "Ada_L\t1\t9", r"pairs\.txt:2: there is no picture Ada_L_0009 in the folder Ada_L"),
        (0, "1" * 5000, r"pairs\.txt:1: expected the numbers of folds"),
        (1, "Ada_L\t1\t" + "9" * 5000, r"pairs\.txt:2: expected the number of a picture, found '9{80}'$"),
        (3, "../Bo\t1\t2", r"pairs\.txt:4: there is no folder with pictures of '\.\./Bo'"),
        (1, "Ada_L\t1\t1", r"pairs\.txt:2: a picture is paired with itself"),
        (2, "Bo\t1\tBo\t2", r"pairs\.txt:3: expected two people, found 'Bo' twice"),
    ],
)
def test_a_wrong_line_is_named(folder: Path, line: int, text: str, says: str) -> None:
    put(folder, [*TWO_FOLDS[:line], text, *TWO_FOLDS[line + 1 :]])
    with pytest.raises(DatasetError, match=says) as caught:
        read_dataset(folder)
    assert "\n" not in str(caught.value)


def test_two_pictures_of_one_number_are_refused_where_a_pair_names_them(folder: Path) -> None:
    (folder / "images" / "Cy" / "Cy_0001.png").write_bytes(b"?")
    put(folder, TWO_FOLDS)
    says = r"pairs\.txt:5: Cy_0001 may be one picture or the other: Cy_0001\.jpg and Cy_0001\.png$"
    with pytest.raises(DatasetError, match=says):
        read_dataset(folder)
    (folder / "images" / "Cy" / "Cy_0001.png").rename(folder / "images" / "Cy" / "Cy_0002.png")
    (folder / "images" / "Cy" / "Cy_0002.webp").write_bytes(b"?")
    assert short(read_dataset(folder)) == READ


def test_a_file_that_is_no_list_is_to_blame_itself(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Onlooker\n")
    (tmp_path / "docs").mkdir()
    with pytest.raises(DatasetError, match=r"README\.md:1: expected the numbers of folds and of pairs"):
        read_dataset(tmp_path / "README.md")


def test_names_that_are_no_text_can_be_printed(tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"Ren\xe9\n\x1b[1m")
    (odd / "Ada").mkdir(parents=True)
    with pytest.raises(DatasetError, match="expected pictures") as caught:
        read_dataset(odd)
    assert str(caught.value).isprintable()
    (odd / "Ada" / "1.jpg").write_bytes(b"?")
    dataset = read_dataset(odd)
    assert dataset.name == r"Ren\udce9\n\x1b[1m"
    assert [picture.name for picture in dataset.pictures] == ["1.jpg"]


def test_a_name_in_another_script_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "日本語 ü" / "Ada").mkdir(parents=True)
    (tmp_path / "日本語 ü" / "Ada" / "1.jpg").write_bytes(b"?")
    assert read_dataset(tmp_path / "日本語 ü").name == "日本語 ü"


def test_an_empty_list_and_one_that_is_no_text_are_refused(folder: Path) -> None:
    (folder / "pairs.txt").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"pairs\.txt:1: expected the numbers"):
        read_dataset(folder)
    (folder / "pairs.txt").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(DatasetError, match="expected a list of pairs in UTF-8"):
        read_dataset(folder)


def test_an_empty_folder_and_a_person_without_pictures_are_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="expected a folder for each person, found none"):
        read_dataset(tmp_path / "empty")
    (folder / "images" / "Di").mkdir()
    with pytest.raises(DatasetError, match=r"Di: expected pictures .*, found none"):
        read_dataset(folder)


def test_nothing_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="found nothing"):
        read_dataset(tmp_path / "nowhere")
