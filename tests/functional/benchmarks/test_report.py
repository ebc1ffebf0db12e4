"""A benchmark says what it measured, whether that is good enough, and what it is worth."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from machine import SLOWNESS

from app.settings import ROOT, Settings

HERE = ROOT / "benchmarks"


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Return the module that reports, which leaves its figures here."""
    monkeypatch.syspath_prepend(str(HERE))
    import _report

    monkeypatch.setattr(_report, "FOLDER", tmp_path)
    return _report


@pytest.mark.parametrize(
    ("values", "at_most", "met"),
    [
        ([1, 2, 3], False, True),
        ([1, 1.9, 3], False, False),
        ([1, 2, 9], True, True),
        ([0, 2.1, 9], True, False),
    ],
)
def test_the_median_of_the_rounds_meets_the_goal(
    report: Any, tmp_path: Path, values: list[float], at_most: bool, met: bool
) -> None:
    figure = report.Figure("speed", "times", 2, values, at_most=at_most)
    assert report.report("one", [figure], [{"round": 1}]) == (0 if met else 1)
    told = json.loads((tmp_path / "one.json").read_text())
    assert (told["ok"], told["wrong"]) == (met, [])
    assert told["figures"] == [
        {"what": "speed", "unit": "times", "goal": 2, "at_most": at_most, "value": sorted(values)[1],
         "least": min(values), "most": max(values), "rounds": values, "counted": "rounds", "met": met}
    ]  # fmt: skip
    assert {"cpu", "cores", "python", "onnxruntime"} == told["machine"].keys()


@pytest.mark.parametrize("at_most", [False, True])
@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_what_cannot_be_measured_is_null_and_meets_no_goal(
    report: Any, tmp_path: Path, value: float, at_most: bool
) -> None:
    from run import table

    figure = report.Figure("age", "s", 2, [value, 1.0, value], at_most=at_most)
    assert report.report("one", [figure], [{"round": 1}], worst=value) == 1
    text = (tmp_path / "one.json").read_text()
    told = json.loads(text, parse_constant=lambda constant: pytest.fail(f"{constant} is not JSON"))
    assert (told["figures"][0]["value"], told["figures"][0]["rounds"]) == (None, [None, 1.0, None])
    assert told["measured_with"] == {"worst": None}
    assert "| no figure (" in table([told])
    assert "3 rounds): not met |" in table([told])


def test_one_round_without_a_figure_is_said(report: Any, tmp_path: Path) -> None:
    from run import table

    report.report("one", [report.Figure("age", "s", 2, [1.0, 1.5, float("inf")], at_most=True)], [])
    told = json.loads((tmp_path / "one.json").read_text())
    assert "| 1.5 (1 to no figure; 3 rounds) |" in table([told])


def test_a_figure_is_worth_nothing_where_something_was_wrong(report: Any, tmp_path: Path) -> None:
    figure = report.Figure("speed", "times", 2, [9.0])
    assert report.report("one", [figure], [], ["no faces"], crops=False) == 1
    told = json.loads((tmp_path / "one.json").read_text())
    assert (told["ok"], told["wrong"], told["measured_with"]) == (False, ["no faces"], {"crops": False})


def test_what_cannot_be_measured_is_neither_met_nor_missed(report: Any, capsys: Any) -> None:
    assert report.not_run("no checkpoint") == 3
    assert capsys.readouterr().err == "not run: no checkpoint\n"


@pytest.mark.parametrize(
    ("found", "right"),
    [({0: 3, 1: 0, 2: 3}, True), ({0: 3, 1: 0, 2: 3, 3: 3, 4: 0, 5: 3}, True), ({}, False),
     ({0: 0, 1: 0, 2: 0}, False), ({0: 3, 1: 3, 2: 3}, False), ({0: 3}, True), ({0: 2}, False)],
)  # fmt: skip
def test_faces_that_were_not_found_are_wrong(report: Any, found: dict[int, int], right: bool) -> None:
    from _clip import Clip

    wrong = Clip(Path("clip.mp4"), [3, 0, 3], None).wrong("faces", found)
    assert (wrong == []) is right


async def _never() -> int:
    await asyncio.Event().wait()
    return 0


def _pooling(people: int, strangers: int, hits: float | None) -> Any:
    from app.evaluation import Point, Pooling
    from app.evaluation.pooling import Rates

    why_not = None if hits is not None else f"{strangers} attempts, 100 needed"
    rates = Rates(0.9, (Point(0.01, strangers, 100, 0.5, 1, hits, why_not),))
    return Pooling(people + 5, 1, people, 2, strangers, 3, rates, rates, rates)


def test_each_round_says_who_took_part_and_with_which_nets(report: Any, tmp_path: Path) -> None:
    from run import table
    from visits import conclude

    rounds = [_pooling(221, 525, 0.9), _pooling(222, 524, 0.9)]
    assert conclude(rounds, Settings(embedder="sface")) == 1
    told = json.loads((tmp_path / "visits.json").read_text())
    assert (told["wrong"], told["measured_with"]) == ([], {
        "enrolled": [226, 227], "not_enrolled": [1, 1], "people": [221, 222], "people_without_face": [2, 2],
        "strangers": [525, 524], "strangers_without_face": [3, 3],
    })  # fmt: skip
    assert "(`visits.py`, embedder=sface)" in table([told])


def test_too_few_strangers_are_wrong_and_no_figure(report: Any, tmp_path: Path) -> None:
    from visits import conclude

    assert conclude([_pooling(221, 9, None)], Settings()) == 1
    told = json.loads((tmp_path / "visits.json").read_text())
    assert told["wrong"] == ["9 attempts, 100 needed"]
    assert [figure["value"] for figure in told["figures"]] == [0.0, None]


def test_people_without_pictures_enough_are_nothing_to_measure(
    report: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any
) -> None:
    import visits

    for picture in ("ada/ada_0001.jpg", "ada/ada_0002.jpg", "bo/bo_0001.jpg"):
        (tmp_path / "images" / picture).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "images" / picture).touch()
    (tmp_path / "pairs.txt").write_text("1\nada\t1\t2\nada\t1\tbo\t1\n")
    monkeypatch.setattr(sys, "argv", ["visits.py", "--data", str(tmp_path)])
    assert visits.main() == 3
    assert "has 4 pictures, or nobody has two or 3" in capsys.readouterr().err


def test_a_benchmark_that_does_not_end_has_failed(report: Any, capsys: Any) -> None:
    from _rig import run_benchmark

    assert run_benchmark(_never(), minutes=0.0005) == 1
    assert capsys.readouterr().err == "not done within 0.0005 minutes\n"


def test_a_second_ctrl_c_ends_one_that_blocks_its_loop() -> None:
    program = (
        "import sys, time; from _rig import run_benchmark\n"
        "async def work():\n"
        "    try:\n"
        "        print('begun', flush=True); time.sleep(600)\n"
        "    finally:\n"
        "        print('cleaned up', flush=True)\n"
        "sys.exit(run_benchmark(work(), 30))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(HERE)},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGINT)
        assert process.stderr.readline() == "interrupted\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60 * SLOWNESS) == ("cleaned up\n", "")
    assert process.returncode == 1


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (signal.SIGTERM, "interrupted"),
        (signal.SIGINT, "interrupted"),
        (None, "not done within 0.005 minutes"),
    ],
)
def test_one_without_a_loop_is_ended_with_what_it_waits_for(number: int | None, said: str) -> None:
    """It waits for a program that only ends when it is ended."""
    program = (
        "import subprocess, sys; from _report import run_alone\n"
        "wait = 'import os, time; print(os.getpid(), flush=True); time.sleep(600)'\n"
        "work = lambda: subprocess.run([sys.executable, '-c', wait]).returncode\n"
        f"sys.exit(run_alone(work, {30 if number else 0.005}))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(HERE)},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        waits = int(process.stdout.readline() or 0)
        if number:
            process.send_signal(number)
        _, errors = process.communicate(timeout=60 * SLOWNESS)
    assert (process.returncode, errors) == (1, f"{said}\n")
    assert not waits or not psutil.pid_exists(waits)


def test_the_table_is_made_of_what_was_measured(report: Any, tmp_path: Path) -> None:
    from run import table

    figures = [report.Figure("speed", "times", 2, [1, 3, 2]), report.Figure("age", "s", 1, [4], True)]
    settings = Settings(broker="kafka://elsewhere:9092", data_dir=tmp_path, partitions=1, web_port=7000)
    report.report("one", figures, [], (), settings)
    report.report("two", [report.Figure("faces", "of them", 1, [1.0])], [], ["no faces"])
    told = [json.loads((tmp_path / f"{name}.json").read_text()) for name in ("one", "two")]
    told[0]["machine"] |= {"python": "3.11.2"}
    told[1]["machine"] |= {"python": "3.11.7"}
    told.append(told[0] | {"name": "three", "figures": []})
    *_, one, _, other = table(told).splitlines()
    assert (one[:34], other[:22]) == ("`one.py`, `three.py`: measured on ", "`two.py`: measured on ")
    assert [" 3.11.2, " in one, " 3.11.7, " in other] == [True, True]
    assert table(told).splitlines()[:5] == [
        "| what | goal | measured |",
        "|---|---|---|",
        "| speed (`one.py`, partitions=1) | at least 2 times | 2 (1 to 3; 3 rounds) |",
        "| age (`one.py`, partitions=1) | at most 1 s | 4: not met |",
        "| faces (`two.py`) | at least 1 of them | 1; wrong: no faces |",
    ]


def test_what_is_published_is_readme_s_table(
    report: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import run

    readme = tmp_path / "README.md"
    readme.write_text(f"before\n\n{run.BEGIN}an old table{run.END}\nafter\n")
    monkeypatch.setattr(run, "README", readme)
    monkeypatch.setattr(run, "PUBLISHED", tmp_path / "published")
    monkeypatch.setattr(sys, "argv", ["benchmark.py"])
    for name, value in (("batches", 4), ("gallery", 3)):
        report.report(name, [report.Figure(name, "times", 2, [value], counted="goes")], [])
        run.publish(run.kept(tmp_path, [name]))
    lines = readme.read_text().splitlines()
    assert lines[:7] == [
        "before",
        "",
        run.BEGIN.strip(),
        "| what | goal | measured |",
        "|---|---|---|",
        "| batches (`batches.py`) | at least 2 times | 4 |",
        "| gallery (`gallery.py`) | at least 2 times | 3 |",
    ]
    assert lines[-3:] == [run.END.strip(), "", "after"]


@pytest.mark.parametrize(
    ("wrong", "arguments", "said"), [(["no faces"], [], "no faces"), ([], ["--rounds", "1"], "--rounds 1")]
)
def test_what_is_wrong_or_was_measured_otherwise_is_not_published(
    report: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    wrong: list[str],
    arguments: list[str],
    said: str,
) -> None:
    import run

    monkeypatch.setattr(run, "PUBLISHED", tmp_path / "published")
    monkeypatch.setattr(sys, "argv", ["gallery.py", *arguments])
    report.report("gallery", [report.Figure("gallery", "times", 2, [3.0])], [], wrong)
    with pytest.raises(SystemExit, match=f"gallery is not published: .*{said}"):
        run.publish(run.kept(tmp_path, ["gallery"]))
    assert not (tmp_path / "published").exists()


def test_readme_says_what_was_published(report: Any) -> None:
    import run

    assert run.BEGIN + run.table(run.kept(run.PUBLISHED)) + run.END in run.README.read_text()
    assert [result["name"] for result in run.kept(run.PUBLISHED)] == run.NAMES


@pytest.mark.parametrize(
    ("program", "arguments", "code", "said"),
    [
        ("run.py", ["nope"], 2, "unknown: nope"),
        ("end_to_end.py", ["--clip", "nothing.mp4"], 1, "there is no clip nothing.mp4"),
        ("lfw.py", ["--data", "nowhere"], 3, "not run: no pairs.txt in nowhere"),
        ("visits.py", ["--data", "nowhere"], 3, "not run: no pairs.txt in nowhere"),
        ("visits.py", ["--data", "{broken}"], 2, "pairs.txt"),
        ("lfw.py", ["--data", "{broken}"], 2, "pairs.txt"),
        ("imported_vs_mxnet.py", ["--prefix", "nowhere/model"], 3, "not run: no checkpoint nowhere/model"),
    ],
)
def test_what_is_missing_is_said_in_a_line(
    tmp_path: Path, program: str, arguments: list[str], code: int, said: str
) -> None:
    (tmp_path / "pairs.txt").write_text("no list of pairs")
    done = subprocess.run(
        [sys.executable, str(HERE / program), *(one.format(broken=tmp_path) for one in arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
