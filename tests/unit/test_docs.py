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


#: A newcomer finds what is named with its folder; the README names benchmarks where it is said that they are.
@pytest.mark.parametrize("document", DOCUMENTS[1:], ids=lambda path: path.name)
def test_a_file_of_the_code_is_named_with_its_folder(document: Path) -> None:
    text = document.read_text("utf-8")
    assert not re.findall(r"`[a-z_]+\.py`", text)


def test_every_reason_of_the_web_side_is_named() -> None:
    """Of a parameter that is a number or a flag it is made of its name."""
    source = "".join(path.read_text("utf-8") for path in (ROOT / "app/web").rglob("*.py"))
    raised = {*re.findall(r'\b(?:api|busy)_error\((?:\d+, )?"([a-z-]+)"', source)}
    raised |= {f"bad-{name}" for name in re.findall(r'\bread_(?:number|flag)\([a-z.]+, "([a-z]+)"', source)}
    assert {"no-such-person", "busy", "bad-limit", "bad-named", "bad-join"} <= raised
    text = (ROOT / "docs/api.md").read_text("utf-8")
    table = "".join(line for line in text.splitlines() if re.match(r"\| \d{3} \|", line))
    assert not {reason for reason in raised if f"`{reason}`" not in table}


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_described(name: str) -> None:
    rows = (ROOT / "docs/settings.md").read_text("utf-8").splitlines()
    (row,) = (row for row in rows if row.startswith(f"| `ONLOOKER_{name.upper()}` |"))
    assert str(Settings.model_fields[name].description) in row
