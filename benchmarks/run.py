"""Run every benchmark, or those that are named; exits with 1 where one misses a goal.

    python benchmarks/run.py [NAME ...]
    python benchmarks/run.py --table

`--table` runs nothing: it prints, as Markdown, what the benchmarks left in `var/benchmarks`.
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

HERE = Path(__file__).parent
NAMES = sorted(
    path.stem for path in HERE.glob("*.py") if not path.name.startswith("_") and path.stem != "run"
)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--table", action="store_true", help="print what was measured, and run nothing")
    wanted = parser.parse_args()
    if unknown := set(wanted.names) - set(NAMES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    names = wanted.names or NAMES
    if wanted.table:
        print(
            table(
                [json.loads(path.read_text()) for name in names if (path := FOLDER / f"{name}.json").exists()]
            )
        )
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    codes = {name: run(name) for name in names}
    for name, code in codes.items():
        print(f"{name}: {'met' if code == 0 else 'not run' if code == NOT_RUN else 'MISSED'}")
    return 0 if set(codes.values()) <= {0, NOT_RUN} else 1


def run(name: str) -> int:
    """Run one benchmark, showing what it prints; return its exit code."""
    print(f"\n== {name}", flush=True)
    with subprocess.Popen([sys.executable, str(HERE / f"{name}.py")]) as process:
        try:
            return process.wait()
        finally:
            # Whoever ends this ends what it runs, which ends what that has started.
            process.terminate()


def table(results: Sequence[dict[str, Any]]) -> str:
    """Return a Markdown table of figures, with the machines that they were measured on below."""
    lines = ["| what | goal | measured |", "|---|---|---|"]
    for result in results:
        lines += [_row(result, figure) for figure in result["figures"]]
    machines = sorted({_machine(result["machine"]) for result in results})
    return "\n".join([*lines, "", *machines])


def _row(result: dict[str, Any], figure: dict[str, Any]) -> str:
    goal = f"{'at most' if figure['at_most'] else 'at least'} {figure['goal']:g} {figure['unit']}"
    rounds = len(figure["rounds"])
    spread = f" ({figure['least']:.3g} to {figure['most']:.3g}; {rounds} rounds)" if rounds > 1 else ""
    missed = "" if figure["met"] else ": not met"
    wrong = "".join(f"; wrong: {reason}" for reason in result["wrong"])
    measured = f"{figure['value']:.3g}{spread}{missed}{wrong}"
    return f"| {figure['what']} (`{result['name']}.py`) | {goal} | {measured} |"


def _machine(machine: dict[str, Any]) -> str:
    return "Measured on {cores} cores of {cpu}, Python {python}, onnxruntime {onnxruntime}.".format(**machine)


if __name__ == "__main__":
    sys.exit(main())
