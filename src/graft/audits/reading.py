"""K11: does the saved artefact read a text as the trained model did?"""

from __future__ import annotations

from graft.audits.contract import Answer, Check, listed, named, sentence
from graft.audits.evidence import EvidenceMissingError, RunEvidence
from graft.core.findings import Status


def served_reading(evidence: RunEvidence) -> Answer:
    """Return whether token ids, prompt, limit, pooling and normalisation are those of training.

    The artefact is read in a fresh process, by the route that its users take.
    """
    memory = evidence.given("reading", evidence.reading)
    served = evidence.given("served", evidence.served)
    rows = sorted(set(memory.inputs) | set(served.inputs))
    if not rows:
        raise EvidenceMissingError("no row was read")
    other = [row for row in rows if memory.inputs.get(row) != served.inputs.get(row)]
    keys = sorted(set(memory.settings) | set(served.settings))
    changed = {
        key: {"trained": memory.settings.get(key), "served": served.settings.get(key)}
        for key in keys
        if memory.settings.get(key) != served.settings.get(key)
    }
    shown = {
        "rows": len(rows),
        "settings": served.settings,
        "changed": changed,
        "other_token_ids": listed(
            {"row": row, "trained": memory.inputs.get(row), "served": served.inputs.get(row)}
            for row in other[:3]
        ),
    }
    problems = [
        f"{key} is {values['served']!r}, in training it was {values['trained']!r}"
        for key, values in changed.items()
    ]
    if other:
        problems.append(f"{len(other)} of {len(rows)} rows give other token ids ({named(other)})")
    if problems:
        fix = "Save tokenizer, prompt, pooling and normalisation with the model, as trained."
        return Answer(Status.failed, sentence(problems), shown, fix)
    summary = (
        f"The artefact reads {len(rows)} rows as the trained model did: the same token ids, and"
        f" the same {named(keys, limit=len(keys))}."
    )
    return Answer(Status.passed, summary, shown)


CHECKS = (
    Check(
        "K11",
        "served_reading",
        "Does the saved artefact read a text as the trained model did?",
        served_reading,
    ),
)
