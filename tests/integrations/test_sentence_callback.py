"""The callback in the trainer of Sentence-Transformers."""

from __future__ import annotations

import pytest
import torch
from peft import LoraConfig
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer
from sentence_transformers.sentence_transformer import losses
from sentence_transformers.sentence_transformer.modules import Dense

import foreign_models as foreign
from graft.core.findings import Status
from graft.integrations.faults import FaultError
from graft.integrations.transformers import GraftCallback

pytestmark = pytest.mark.slow


def train(tmp_path, base, **options):
    callback = GraftCallback(tmp_path / "audit", on_fault=options.pop("on_fault", "stop"))
    folder = tmp_path / "out"
    foreign.sentence_trainer(folder, base, callbacks=[callback], **options).train()
    return callback.findings


def worst(findings):
    return {finding.name: finding.summary for finding in findings.blocking}


def named(findings, name):
    (found,) = [finding for finding in findings.items if finding.name == name]
    return found


def load(base):
    return SentenceTransformer(str(base), device="cpu")


def two_classes():
    rows = foreign.sentence_pairs()
    return rows.map(lambda row: {"label": int(row["score"])}, remove_columns=["score"])


def classified(base):
    """The classifier belongs to the loss alone."""
    model = load(base)
    loss = losses.SoftmaxLoss(model, model.get_embedding_dimension(), 2)
    return {"model": model, "rows": two_classes(), "loss": loss}


def ranked(base):
    model = load(base)
    rows = foreign.sentence_pairs().filter(lambda row: row["score"] == 1).remove_columns("score")
    return {"model": model, "rows": rows, "loss": losses.MultipleNegativesRankingLoss(model)}


def adapted(base):
    model = load(base)
    model.add_adapter(LoraConfig(r=4, target_modules=["query", "value"]))
    return {"model": model}


def with_dense(base):
    """A new layer after the pooling."""
    transformer, pooling, _ = load(base)
    modules = [transformer, pooling, Dense(32, 16)]
    return {"model": SentenceTransformer(modules=modules, device="cpu")}


HEALTHY = {
    "CoSENT": lambda base: {},
    "classifier in the loss": classified,
    "ranking": ranked,
    "adapter": adapted,
    "new dense layer": with_dense,
}


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_trainings_give_no_alarm(name, tmp_path, encoder):
    findings = train(tmp_path, encoder, save_strategy="epoch", **HEALTHY[name](encoder))
    assert worst(findings) == {}
    assert named(findings, "saved_tensors").status == Status.passed
    assert named(findings, "supervision").evidence["counted"]["unit"] == "pairs"


def test_a_classifier_that_the_optimizer_does_not_hold_stops(tmp_path, encoder):
    """OPT-01: only the model's parameters reached the optimizer."""
    options = classified(encoder)
    optimizer = torch.optim.AdamW(options["model"].parameters(), lr=1e-3)
    with pytest.raises(FaultError, match=r"not in the optimizer \(loss.classifier"):
        train(tmp_path, encoder, optimizers=(optimizer, None), **options)


class Unrestored(SentenceTransformerTrainer):
    """SAV-05: as when loading the best checkpoint fails and is only logged."""

    def _load_best_model(self):
        pass


@pytest.mark.parametrize(("kind", "restored"), [(SentenceTransformerTrainer, True),
                                                (Unrestored, False)])  # fmt: skip
def test_the_best_checkpoint_is_looked_for_in_memory(kind, restored, tmp_path, encoder):
    # The loss rises: training starts from what another training ended with, at a wild rate.
    findings = train(
        tmp_path, encoder, trainer=kind, eval_rows=foreign.sentence_pairs(24, 7),
        eval_strategy="steps", eval_steps=1, save_strategy="steps", save_steps=1, max_steps=4,
        load_best_model_at_end=True, learning_rate=0.5, save_only_model=True,
    )  # fmt: skip
    found = named(findings, "best_checkpoint")
    assert found.evidence["best"].endswith("checkpoint-1")
    assert found.evidence["restored"] is restored
    assert (found.status == Status.failed) is not restored


def test_rows_with_nothing_but_padding_are_counted(tmp_path, encoder):
    rows = foreign.sentence_pairs()
    rows = rows.map(lambda row, index: {"sentence1": "" if index % 2 else row["sentence1"]},
                    with_indices=True)  # fmt: skip
    assert "supervision" in worst(train(tmp_path, encoder, rows=rows))
