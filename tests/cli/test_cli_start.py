"""How the command line starts: at once, without the heavy libraries."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

# Not pydantic: Typer itself looks into it.
HEAVY = (
    "torch", "transformers", "sentence_transformers", "peft", "pandas", "numpy", "scipy",
    "sklearn", "pyarrow", "plotly", "rich", "mlflow", "psutil",
)  # fmt: skip
VERBS = (
    "init", "run", "plan", "demo", "baseline", "train", "evaluate", "audit", "compare", "report",
    "predict", "verify-frozen", "data",
)  # fmt: skip


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["data", "check", "--help"]])
def test_help_imports_nothing_heavy(words):
    code = (
        "import sys\nfrom graft.cli.main import app\n"
        f"try: app({words!r})\nexcept SystemExit as end: assert not end.code, end.code\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_help_answers_in_less_than_300_ms():
    # Processor time, the best of five: other processes of the machine do not count.
    times = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-c", "from graft.cli.main import app; app()", "--help"]
        subprocess.run(command, capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(times) < 0.3


def test_help_names_every_verb_and_the_exit_codes(graft):
    answer = graft("--help")
    assert answer.code == 0
    listed = [line.split()[0] for line in answer.stdout.splitlines() if line.startswith("  ")]
    assert set(VERBS) <= set(listed)
    assert "..." not in answer.stdout.replace("[ARGS]...", "")  # no help line is cut
    assert "Exit code: 0 passed; 2" in answer.stdout


@pytest.mark.parametrize("verb", [*VERBS, "data check", "data split", "data generate"])
def test_every_verb_has_help_and_json(graft, verb):
    answer = graft(*verb.split(), "--help")
    assert answer.code == 0
    assert verb == "data" or "--json" in answer.stdout


def test_version(graft):
    assert graft("--version").stdout.startswith("graft ")
