"""`graft verify-frozen`: what it says about two folders, and its exit codes."""

from __future__ import annotations

import shutil

import pytest
from safetensors.torch import load_file, save_file

QUERY = "encoder.layer.1.attention.self.query"


@pytest.fixture
def tuned(tmp_path, tiny_encoder):
    """The tiny encoder with one matrix changed."""
    folder = tmp_path / "tuned"
    shutil.copytree(tiny_encoder, folder)
    path = folder / "model.safetensors"
    tensors = load_file(path)
    tensors[f"{QUERY}.weight"] += 1
    save_file(tensors, path, metadata={"format": "pt"})
    return folder


def test_a_tuned_model_passes(graft, tiny_encoder, tuned):
    answer = graft("verify-frozen", tiny_encoder, tuned)
    assert answer.code == 0, answer.stderr
    assert "1 tensors UPDATED" in answer.stdout
    [line] = [line for line in answer.stdout.splitlines() if line.strip().startswith(QUERY)]
    assert "UPDATED" in line
    assert "1 of 2 tensors" in line


def test_the_base_itself_fails(graft, tiny_encoder):
    answer = graft("verify-frozen", tiny_encoder, tiny_encoder, "--json")
    assert answer.code == answer.document["exit_code"] == 2
    assert answer.document["updated"] == 0
    assert "every tensor is FROZEN" in answer.document["violations"][0]


def test_expectations(graft, tiny_encoder, tuned):
    both = (tiny_encoder, tuned)
    kept = ("--expect-frozen", "embeddings", "--expect-updated", f"{QUERY}.weight")
    assert graft("verify-frozen", *both, *kept).code == 0
    answer = graft("verify-frozen", *both, "--expect-updated", "embeddings.*.weight", "--json")
    assert answer.code == 2
    assert len(answer.document["violations"]) >= 3
    answer = graft("verify-frozen", *both, "--expect-frozen", "encoder.layer.1")
    assert answer.code == 2
    assert f"Not as expected: {QUERY}.weight is UPDATED, expected FROZEN" in answer.stdout


def test_a_pattern_that_matches_nothing_is_wrong_usage(graft, tiny_encoder, tuned):
    answer = graft("verify-frozen", tiny_encoder, tuned, "--expect-frozen", "encoder.layer.7")
    assert answer.code == 3
    assert "matches no tensor" in answer.stderr


def test_what_is_no_model_is_3(graft, tiny_encoder, tmp_path):
    assert graft("verify-frozen", tiny_encoder, tmp_path / "none").code == 3
    assert graft("verify-frozen", tmp_path, tiny_encoder).code == 3
