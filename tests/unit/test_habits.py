"""Habits that a test keeps, not a person."""

import doctest
import importlib
import re
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest

from scripts.docs import DOCUMENTS
from services.runtime.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_generated_document_is_what_the_code_says(name: str) -> None:
    assert (ROOT / name).read_text("utf-8") == DOCUMENTS[name](), "run make docs"


def test_every_setting_is_used() -> None:
    sources = "\n".join(path.read_text("utf-8") for path in (ROOT / "services").rglob("*.py"))
    unused = [f.name for f in fields(Settings) if not re.search(rf"\.{f.name}\b|\"{f.name}\"", sources)]
    assert unused == []


def test_every_setting_that_the_documents_name_exists() -> None:
    known = {PREFIX + item.name.upper() for item in fields(Settings)}
    named = {
        word.removesuffix("_FILE")
        for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "compose.yaml"]
        for word in re.findall(rf"{PREFIX}[A-Z_]+[A-Z]", path.read_text("utf-8"))
    }
    assert named - known == set()


def test_every_link_between_documents_leads_somewhere() -> None:
    broken = [
        f"{path.name}: {link}"
        for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
        for link in re.findall(r"\]\((?!https?://)([^)#]+)", path.read_text("utf-8"))
        if not (path.parent / link).exists()
    ]
    assert broken == []


EXAMPLES = [path for path in sorted((ROOT / "services").rglob("*.py")) if ">>> " in path.read_text("utf-8")]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_in_docstrings_are_true(path: Path) -> None:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    result = doctest.testmod(importlib.import_module(name))
    assert (result.failed, result.attempted > 0) == (0, True)


def test_no_file_is_too_long_to_read_at_a_sitting() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "services"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    paths = [ROOT / name for name in listed.stdout.split() if name.endswith((".py", ".sql"))]
    assert [p.name for p in paths if p.exists() and len(p.read_text("utf-8").splitlines()) > 400] == []
