"""How commands end: exit codes, messages on stderr, one document on stdout."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from graft.cli import stages
from graft.cli.group import GraftGroup
from graft.core.errors import GraftError


@pytest.mark.parametrize(
    "words",
    [[], ["ruin"], ["run"], ["run", "--nope", "x"], ["data"], ["init", "poems"],
     ["data", "generate", "compatibility", "d", "--seed", "x"]],
)  # fmt: skip
def test_wrong_usage_is_3(graft, words):
    answer = graft(*words)
    assert answer.code == 3
    assert "Usage: graft" in answer.stderr
    assert not answer.stdout


def test_usage_errors_name_the_nearest_verb(graft):
    assert "'run'" in graft("ruin").stderr


def test_hyphen_and_underscore_are_the_same(graft, tmp_path):
    words = ("--expect_frozen", "a", tmp_path / "none", tmp_path / "none")
    assert graft("verify_frozen", *words).stderr == graft("verify-frozen", *words).stderr


def test_a_missing_recipe_is_3_with_a_document(graft, tmp_path):
    answer = graft("run", tmp_path / "none.yaml", "--json")
    assert answer.code == 3
    assert answer.document["exit_code"] == 3
    [problem] = answer.document["error"]["problems"]
    assert problem["where"].endswith("none.yaml")
    assert "Fix:" in answer.stderr


def test_a_missing_recipe_is_told_before_torch_loads(graft_process, tmp_path):
    blocked = "import sys; sys.modules['torch'] = None"
    for verb in ("run", "plan", "baseline", "train", "evaluate", "compare", "audit"):
        answer = graft_process(verb, tmp_path / "none.yaml", before=blocked)
        assert (answer.code, answer.stdout) == (3, "")
        assert "there is no such file" in answer.stderr


def _raising(monkeypatch, error):
    def explode(*args, **kwargs):
        raise error

    monkeypatch.setattr("graft.config.loading.load_recipe", explode)


def test_a_graft_error_keeps_its_code_and_shows_no_traceback(graft, monkeypatch, tmp_path):
    _raising(monkeypatch, GraftError("the disk is full"))
    answer = graft("run", tmp_path / "r.yaml")
    assert answer.code == 1
    assert answer.stderr == "error: the disk is full\n"


def test_an_unexpected_error_is_one_line_unless_debugged(graft, monkeypatch, tmp_path):
    _raising(monkeypatch, RuntimeError("boom"))
    answer = graft("run", tmp_path / "r.yaml")
    assert answer.code == 1
    assert answer.stderr.count("\n") == 1
    assert "internal error: RuntimeError: boom" in answer.stderr
    told = graft("--debug", "run", tmp_path / "r.yaml")
    assert told.code == 1
    assert "Traceback" in told.stderr
    monkeypatch.setenv("GRAFT_DEBUG", "1")
    assert "Traceback" in graft("run", tmp_path / "r.yaml").stderr


def test_an_interrupt_is_130_and_says_how_to_go_on(graft, monkeypatch, tmp_path):
    _raising(monkeypatch, KeyboardInterrupt())
    answer = graft("run", tmp_path / "r.yaml")
    assert answer.code == 130
    assert "run the same command again to go on" in answer.stderr


def test_a_real_interrupt_ends_with_130():
    code = (
        "import time, graft.config.loading as l\n"
        "def wait(*a):\n    print('ready', flush=True); time.sleep(60)\n"
        "l.load_recipe = wait\n"
        "from graft.cli.main import app; app(['run', 'r.yaml'])"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdout=pipe, stderr=pipe) as process:
        assert process.stdout.readline() == b"ready\n"
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"Traceback" not in stderr


def test_a_reader_that_goes_away_is_no_error(tmp_path):
    code = "from graft.cli.main import app; app()"
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", code, "init", "pairs", str(tmp_path / "r.yaml")]
    with subprocess.Popen(command, stdout=pipe, stderr=pipe) as process:
        process.stdout.close()
        stderr = process.stderr.read()
        process.wait(timeout=20)
    assert process.returncode in (0, 1)
    assert stderr == b""


def test_outside_standalone_mode_nothing_exits():
    import typer

    app = typer.Typer(cls=GraftGroup)
    app.command()(lambda: None)
    app.callback()(lambda: None)
    assert app(["--help"], standalone_mode=False) == 0


def test_arms_are_chosen_in_the_order_of_the_recipe():
    known = ("standard", "lora")
    assert stages.chosen(["lora", "standard"], known) == known
    assert stages.chosen(["all"], known) == known
    with pytest.raises(GraftError, match="did you mean 'lora'") as caught:
        stages.chosen(["lroa", "x"], known)
    assert len(caught.value.problems) == 2
