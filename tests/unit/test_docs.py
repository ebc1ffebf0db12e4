"""What the documents name is there, and every setting is in them."""

import re
from pathlib import Path

import pytest

from app.settings import ROOT, Settings

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
#: Files and folders of ours, as a document writes them.
PATHS = re.compile(r"\b(?:app|tests|benchmarks|docs)/[A-Za-z0-9_./-]*[A-Za-z0-9_]")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_that_is_named_is_there(document: Path) -> None:
    named = {ROOT / path for path in PATHS.findall(document.read_text("utf-8"))}
    assert not [path for path in named if not path.exists() and not path.with_suffix(".py").exists()]


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_described(name: str) -> None:
    rows = (ROOT / "docs/settings.md").read_text("utf-8").splitlines()
    (row,) = (row for row in rows if row.startswith(f"| `ONLOOKER_{name.upper()}` |"))
    assert str(Settings.model_fields[name].description) in row
