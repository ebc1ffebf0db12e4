"""Run every benchmark, one after the other; exits with 1 where one misses its goal."""

import json
import subprocess
import sys
from pathlib import Path


def main() -> int:
    folder = Path(__file__).parent
    names = sorted(
        path for path in folder.glob("*.py") if not path.name.startswith("_") and path.name != "run.py"
    )
    results = [run(path) for path in names]
    for result in results:
        print(json.dumps(result))
    return 0 if all(result["ok"] for result in results) else 1


def run(path: Path) -> dict:
    """Run one benchmark, showing what it prints; return the figure on its last line."""
    print(f"\n== {path.name}", flush=True)
    lines = []
    with subprocess.Popen([sys.executable, str(path)], stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            lines.append(line)
    try:
        return json.loads(lines[-1])
    except (IndexError, ValueError):
        return {"name": path.stem, "ok": False, "error": f"exit code {process.returncode}"}


if __name__ == "__main__":
    sys.exit(main())
