"""Run every benchmark, or those that are named; exits with 1 where one misses a goal.

    python benchmarks/run.py [NAME ...]
    python benchmarks/run.py --table [NAME ...]
    python benchmarks/run.py --publish [NAME ...]

`--table` runs nothing: it prints, as Markdown, what the benchmarks left in `var/benchmarks`. `--publish`
takes that into `benchmarks/published`, and makes README's table of all that is there.
"""

import argparse
import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _report import FOLDER, NOT_RUN

from app.settings import ROOT

HERE = Path(__file__).parent
#: The figures of README's table, a file for each benchmark.
PUBLISHED = HERE / "published"
README = ROOT / "README.md"
#: What README's table stands between.
BEGIN, END = "<!-- made by benchmarks/run.py --publish -->\n", "\n<!-- until here -->\n"
NAMES = sorted(
    path.stem for path in HERE.glob("*.py") if not path.name.startswith("_") and path.stem != "run"
)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--table", action="store_true", help="print what was measured, and run nothing")
    instead.add_argument("--publish", action="store_true", help="write what was measured into README")
    wanted = parser.parse_args()
    if unknown := set(wanted.names) - set(NAMES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    names = wanted.names or NAMES
    if wanted.table:
        print(table(kept(FOLDER, names)))
        return 0
    if wanted.publish:
        publish(kept(FOLDER, names))
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    codes = {name: run(name) for name in names}
    for name, code in codes.items():
        print(f"{name}: {'met' if code == 0 else 'not run' if code == NOT_RUN else 'MISSED'}")
    return 0 if set(codes.values()) <= {0, NOT_RUN} else 1


def run(name: str) -> int:
    """Run one benchmark, showing what it prints; return its exit code."""
    print(f"\n== {name}", flush=True)
    # What fails leaves nothing, and no figure of an earlier run in the place of its own.
    (FOLDER / f"{name}.json").unlink(missing_ok=True)
    with subprocess.Popen([sys.executable, str(HERE / f"{name}.py")]) as process:
        try:
            return process.wait()
        finally:
            # Whoever ends this ends what it runs, which ends what that has started.
            process.terminate()


def kept(folder: Path, names: Sequence[str] = NAMES) -> list[dict[str, Any]]:
    """Return the results of these benchmarks, in that order, of those that are there."""
    paths = (folder / f"{name}.json" for name in names)
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.exists()]


def publish(results: Sequence[dict[str, Any]]) -> None:
    """Keep these results in the place of earlier ones, and make README's table of all.

    Raises:
        SystemExit: one was not measured as `make bench` does it, or something was wrong with it.
    """
    for result in results:
        if result["wrong"] or " --" in result["command"]:
            raise SystemExit(
                f"{result['name']} is not published: {'; '.join(result['wrong']) or result['command']}"
            )
    PUBLISHED.mkdir(exist_ok=True)
    for result in results:
        text = json.dumps(result, indent=1) + "\n"
        (PUBLISHED / f"{result['name']}.json").write_text(text, encoding="utf-8")
    before, rest = README.read_text(encoding="utf-8").split(BEGIN)
    _, after = rest.split(END)
    README.write_text(before + BEGIN + table(kept(PUBLISHED)) + END + after, encoding="utf-8")


def table(results: Sequence[dict[str, Any]]) -> str:
    """Return a Markdown table of figures; below, each machine with what was measured on it."""
    lines = ["| what | goal | measured |", "|---|---|---|"]
    for result in results:
        lines += [_row(result, figure) for figure in result["figures"]]
    measured: dict[str, list[str]] = {}
    for result in results:
        measured.setdefault(_machine(result["machine"]), []).append(f"`{result['name']}.py`")
    machines = [f"{', '.join(names)}: {machine}" for machine, names in measured.items()]
    # A paragraph each.
    return "\n\n".join(["\n".join(lines), *machines])


def _row(result: dict[str, Any], figure: dict[str, Any]) -> str:
    goal = f"{'at most' if figure['at_most'] else 'at least'} {figure['goal']:g} {figure['unit']}"
    rounds = len(figure["rounds"])
    spread = (
        f" ({_number(figure['least'])} to {_number(figure['most'])}; {rounds} {figure['counted']})"
        if rounds > 1
        else ""
    )
    missed = "" if figure["met"] else ": not met"
    wrong = "".join(f"; wrong: {reason}" for reason in result["wrong"])
    measured = f"{_number(figure['value'])}{spread}{missed}{wrong}"
    settings = "".join(f", {name}={value}" for name, value in result["settings"].items())
    return f"| {figure['what']} (`{result['name']}.py`{settings}) | {goal} | {measured} |"


def _number(value: float | None) -> str:
    """Return a figure as it is read; None is one that is infinite, or could not be measured."""
    return "no figure" if value is None else f"{value:.3g}"


def _machine(machine: dict[str, Any]) -> str:
    return "measured on {cores} cores of {cpu}, Python {python}, onnxruntime {onnxruntime}.".format(**machine)


if __name__ == "__main__":
    sys.exit(main())
