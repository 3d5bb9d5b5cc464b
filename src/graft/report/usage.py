"""The lines that load the saved model of an arm."""

from __future__ import annotations

from graft.report.evidence import Evidence, RunEvidence

PAIR_CODE = """\
from sentence_transformers import SentenceTransformer, util

model = SentenceTransformer("{path}")
first, second = model.encode(["first text", "second text"])
score = float(util.cos_sim(first, second))
print(score{decision})
"""
# What reads one text and no table is a model of Sentence-Transformers whose embedding are logits.
TEXT_CODE = """\
import torch
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("{path}")
classes = {classes}
logits = model.encode(["a text"], convert_to_tensor=True)
scores = torch.softmax(logits, dim=1)[0]
print(dict(zip(classes, scores.tolist())){decision})
"""
ROWS_CODE = """\
import pandas as pd

import graft

rows = pd.DataFrame([{row}])
print(graft.load("{path}").predict(rows))
"""
FUSION_CODE = """\
# Members and weights lie in {path}, the text model is that of the arm {arm}.
# graft.load reads the models of arms; a fusion is predicted within its run.
"""
SERIES_CODE = """\
import torch
from transformers import AutoModel

# The folder holds its own code; have a look at modeling_series.py before you trust it.
model = AutoModel.from_pretrained("{path}", trust_remote_code=True)
values = torch.randn(1, 50, {channels})  # [rows, time, channels], NaN where a value is missing
logits = model.eval()(values, lengths=torch.tensor([50])).logits
scores = torch.softmax(logits, dim=1)[0].tolist()
print(dict(zip(model.config.id2label.values(), scores)){decision})
"""
OTHER_CODE = """\
from transformers import AutoModel, AutoTokenizer

model = AutoModel.from_pretrained("{path}")
tokenizer = AutoTokenizer.from_pretrained("{path}")
"""
# Beside this file in a model folder, the head reads table columns too.
TABLE_FILE = "graft_table.json"


def threshold(arm: RunEvidence) -> float | None:
    """Return the decision threshold that was chosen on validation, None if there is none."""
    if arm.predictions is None or "threshold" not in arm.predictions:
        return None
    known = arm.predictions["threshold"].dropna()
    return float(known.iloc[0]) if len(known) else None


def loading_code(evidence: Evidence, arm: RunEvidence) -> str:
    """Return the lines that load the saved model, without Graft where the model allows it."""
    # A path goes into a Python string: a quote or backslash in a name must not end it.
    path = f"{evidence.index.name}/{arm.name}/model".replace("\\", "\\\\").replace('"', '\\"')
    cut = threshold(arm)
    if evidence.index.task == "pairs":
        decision = f", score >= {cut:.4f}" if cut is not None else ""
        return PAIR_CODE.format(path=path, decision=decision)
    if arm.fusion is not None:
        return FUSION_CODE.format(path=path, arm=arm.fusion.arm)
    facts = evidence.facts
    if not facts.classes:
        return OTHER_CODE.format(path=path)
    if facts.channels:
        decision = f", scores[1] >= {cut:.4f}" if cut is not None else ""
        return SERIES_CODE.format(path=path, channels=len(facts.channels), decision=decision)
    table = facts.table if (arm.paths.model / TABLE_FILE).is_file() else ()
    if len(facts.texts) == 1 and not table:
        decision = f", float(scores[1]) >= {cut:.4f}" if cut is not None else ""
        return TEXT_CODE.format(path=path, classes=list(facts.classes), decision=decision)
    cells = [f"{name!r}: 'a text'" for name in facts.texts]
    cells += [f"{name!r}: {'1.0' if name in facts.numbers else repr('a name')}" for name in table]
    return ROWS_CODE.format(path=path, row="{" + ", ".join(cells) + "}")
