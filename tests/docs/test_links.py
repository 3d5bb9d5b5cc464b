"""Links lead somewhere, verbs and options exist, and every check has its section."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from urllib.parse import unquote

import pytest
from typer.testing import CliRunner

from graft.audits.registry import ARM_CHECKS, DATA_CHECKS, RECIPE_CHECKS, TRAINER_CHECKS
from graft.cli.main import app

ROOT = Path(__file__).parents[2]
# Pictures that are made from a run of the demo and added afterwards.
FOLDERS = ("docs", "examples", "benchmarks", "src", "tests")
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *(page for folder in FOLDERS for page in sorted((ROOT / folder).rglob("*.md"))),
]
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
CONSOLE = re.compile(r"^```(?:console|sh)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(graft [^`]+)`")
named = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def slug(heading):
    """The anchor that GitHub gives a heading."""
    kept = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return kept.replace(" ", "-")


def anchors(page):
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {*map(slug, headings), *re.findall(r'<a id="([^"]+)">', text)}


def test_there_are_pages():
    names = {str(page.relative_to(ROOT)) for page in PAGES}
    assert {"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"} <= names
    assert {"docs/tutorial.md", "docs/reference/recipe.md", "docs/concepts/audits.md"} <= names


@named
def test_every_relative_link_leads_to_a_file_and_a_heading(page):
    broken = []
    for target in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        place, _, anchor = unquote(target).partition("#")
        file = (page.parent / place).resolve() if place else page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


def commands(page):
    """What the page tells people to type after `graft`."""
    text = page.read_text(encoding="utf-8")
    lines = [line for block in CONSOLE.findall(text) for line in block.splitlines()]
    lines += INLINE.findall(FENCE.sub("", text))
    told = [line.split("  #")[0].split(" > ")[0].strip() for line in lines]
    return [shlex.split(line)[1:] for line in told if line.startswith("graft ")]


def help_of(*words):
    result = CliRunner().invoke(app, [*words, "--help"])
    return result.stdout if result.exit_code == 0 else ""


@named
def test_every_verb_and_option_exists(page):
    wrong = []
    for words in commands(page):
        verb = [] if words[0].startswith("-") else words[: 2 if words[0] == "data" else 1]
        text = help_of(*verb)
        options = [word for word in words if word.startswith("--")]
        if not text or any(not re.search(rf"{option}\b", text) for option in options):
            wrong.append(words)
    assert wrong == []


@pytest.mark.parametrize(
    "check",
    {
        check.name: check for check in (*ARM_CHECKS, *DATA_CHECKS, *RECIPE_CHECKS, *TRAINER_CHECKS)
    }.values(),
    ids=lambda check: check.name,
)
def test_every_check_has_a_section(check):
    place, _, anchor = check.page.partition("#")
    text = (ROOT / place).read_text(encoding="utf-8")
    section = text.partition(f'<a id="{anchor}"></a>')[2].partition('<a id="')[0]
    assert f"`{check.name}`" in section
    for part in ("**Proves", "**Does not prove**", "**Evidence:**", "**Fix:**"):
        assert part in section


def test_the_documentation_names_no_folder_of_a_machine():
    spots = re.compile(r"(?<![\w.])/(?:home|root|work|tmp|Users|usr)/")
    named_in = [page.name for page in PAGES if spots.search(page.read_text(encoding="utf-8"))]
    assert named_in == []
