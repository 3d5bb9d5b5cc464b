"""`graft diagnose`: what it prints, its document, and its exit codes."""

from __future__ import annotations

import pytest

import diagnosis_models as models


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    root = tmp_path_factory.mktemp("diagnosed")
    models.write_language_model(root / "base")
    models.write_lora(root / "base", root / "lora")
    models.write_lora(root / "base", root / "untrained", trained=False)
    models.merge(root / "base", root / "lora", root / "twice", times=2)
    models.prefix_keys(models.copied(root / "lora", root / "prefixed"), "_orig_mod.")
    return root


def test_a_healthy_adapter_is_0(graft, places):
    answer = graft("diagnose", places / "base", places / "lora")
    assert answer.code == 0, answer.stdout
    assert "Healthy: no check fails" in answer.stdout
    for text in ("K3 weights_moved", "Movement by layer", "model.layers.1", "not applicable"):
        assert text in answer.stdout


@pytest.mark.parametrize(
    ("tuned", "cause"),
    [
        ("prefixed", "The keys of the adapter carry a wrapper's prefix"),
        ("untrained", "The adapter was never trained"),
        ("twice", "The adapter was merged more than once"),
    ],
)
def test_a_sick_folder_is_2_and_its_cause_is_named_first(graft, places, tuned, cause):
    answer = graft("diagnose", places / "base", places / tuned)
    assert answer.code == 2
    assert f"Cause 1: {cause}." in answer.stdout
    parts = [line.split(":")[0].strip() for line in answer.stdout.splitlines() if ":" in line]
    assert "Fix" in parts
    assert "Expect after the fix" in parts
    document = graft("diagnose", places / "base", places / tuned, "--json").document
    assert document["causes"][0]["name"] == cause
    assert (document["healthy"], document["exit_code"]) == (False, 2)
    assert {"findings", "layers", "kind"} <= set(document)


def test_what_is_no_model_is_3_and_says_what_to_do(graft, places, tmp_path):
    wrong = tmp_path / "model.pt.gz"
    wrong.write_bytes(b"x")
    for tuned in (wrong, tmp_path / "none", tmp_path):
        answer = graft("diagnose", places / "base", tuned)
        assert answer.code == 3
        assert "Fix: " in answer.stderr
        assert "Traceback" not in answer.stderr
    assert graft("diagnose", places / "lora", places / "base").code == 3


def test_two_models_with_nothing_in_common_are_3(graft, places, tmp_path):
    other = models.write_body(tmp_path / "other")
    answer = graft("diagnose", places / "base", other)
    assert answer.code == 3
    assert "shares no tensor name" in answer.stderr
