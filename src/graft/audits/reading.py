"""K11: does the saved artefact read its input as the trained model did?"""

from __future__ import annotations

from graft.audits.contract import Answer, Check, listed, named, sentence
from graft.audits.evidence import EvidenceMissingError, RunEvidence
from graft.core.findings import Status


def served_reading(evidence: RunEvidence) -> Answer:
    """Return whether a row reaches the model as it did in training, by the same settings.

    Of texts these are token ids, prompt, limit and pooling; of series what is left after
    normalisation, and the code that computes it.

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
        "other_inputs": listed(
            {"row": row, "trained": memory.inputs.get(row), "served": served.inputs.get(row)}
            for row in other[:3]
        ),
    }
    problems = [
        f"{key} is {values['served']!r}, in training it was {values['trained']!r}"
        for key, values in changed.items()
    ]
    if other:
        problems.append(f"{len(other)} of {len(rows)} rows give other inputs ({named(other)})")
    if problems:
        fix = "Save what reads the rows (tokenizer, prompt, pooling, normalisation) as trained."
        return Answer(Status.failed, sentence(problems), shown, fix)
    summary = (
        f"The artefact reads {len(rows)} rows as the trained model did: the same inputs, and"
        f" the same {named(keys, limit=len(keys))}."
    )
    return Answer(Status.passed, summary, shown)


CHECKS = (
    Check(
        "K11",
        "served_reading",
        "Does the saved artefact read a row as the trained model did?",
        served_reading,
    ),
)
