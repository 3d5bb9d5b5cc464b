"""K5: does the loss see what it should learn from, and nothing that it should not?"""

from __future__ import annotations

from dataclasses import dataclass

from graft.audits.contract import Answer, Check
from graft.audits.evidence import RunEvidence
from graft.core.findings import Status
from graft.core.supervision import Supervision

# Shares of the rows above which a count is more than a few odd rows.
FEW = 0.01
MANY = 0.10
UNKNOWN_FAILS, UNKNOWN_WARNS = 0.20, 0.02  # of all tokens


@dataclass(frozen=True)
class _Fault:
    """A count of `Supervision`: from which share of rows on it fails or warns, and what it says."""

    field: str
    words: str
    fails_above: float
    warns_above: float
    fix: str


_NEVER = 1.0
_FAULTS = (
    _Fault(
        "rows_without_loss",
        "rows carry no loss at all",
        MANY,
        0.0,
        "Look at the labels of the rows named: the mask of the answers does not match them.",
    ),
    _Fault(
        "shifted_labels",
        "rows have labels that are shifted already; the model shifts them again",
        FEW,
        FEW,
        "Give labels equal to the inputs: the model predicts the next token by itself.",
    ),
    _Fault(
        "ends_missing",
        "rows never teach the end of the text",
        FEW,
        0.0,
        "Supervise the end-of-text token; give padding a token of its own.",
    ),
    _Fault(
        "answers_cut",
        "rows lose the end of their answer to truncation",
        FEW,
        0.0,
        "Raise the maximum length, or take out the rows that are too long.",
    ),
    _Fault(
        "prompts_supervised",
        "rows train on the prompt although only answers should be learned",
        FEW,
        0.0,
        "Use a collator that keeps the mask of the prompt.",
    ),
    _Fault(
        "doubled_starts",
        "rows begin with the start token twice",
        FEW,
        0.0,
        "Tokenise the output of the chat template without adding special tokens.",
    ),
    _Fault(
        "template_supervised",
        "rows train on tokens that the generation prompt provides",
        _NEVER,
        0.0,
        "Mask what the chat template writes before the answer begins.",
    ),
    _Fault(
        "empty_rows",
        "rows have a text of which nothing is left",
        MANY,
        0.0,
        "Take the empty rows out, or look for a wrong column.",
    ),
    _Fault(
        "truncated_rows",
        "rows are longer than the model reads",
        _NEVER,
        FEW,
        "Raise `base.max_seq_length` if the model allows it, or shorten the texts.",
    ),
)


def supervision(evidence: RunEvidence) -> Answer:
    """Return whether the collated rows carry the loss that they should."""
    census = evidence.given("supervision", evidence.supervision)
    failed, warned = _unknown(census)
    for fault in _FAULTS:
        count = getattr(census, fault.field)
        if not count:
            continue
        text = f"{count} of {census.rows} {fault.words}"
        if count > fault.fails_above * census.rows:
            failed.append((text, fault.fix))
        elif count > fault.warns_above * census.rows:
            warned.append((text, fault.fix))
    if not census.rows or not census.units:
        failed.insert(0, (f"no loss at all in {census.rows} rows", _FAULTS[0].fix))
    if len(census.labels) == 1 and census.rows > 1:
        label = next(iter(census.labels))
        warned.append((f"every row has the label {label}", "Check the label column."))
    shown = {"counted": census, "shares": {"few": FEW, "many": MANY}}
    for status, problems in ((Status.failed, failed), (Status.warned, warned)):
        if problems:
            summary = "; ".join(text for text, _ in problems)
            return Answer(status, f"{summary[:1].upper()}{summary[1:]}.", shown, problems[0][1])
    return Answer(
        Status.passed,
        f"{census.units:,} {census.unit} with loss in {census.rows:,} rows,"
        f" {census.tokens:,} tokens; {census.truncated_rows} rows cut, none without loss.",
        shown,
    )


def _unknown(census: Supervision) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    share = census.unknown_tokens / census.tokens if census.tokens else 0.0
    text = f"{share:.0%} of the tokens are unknown to the tokenizer"
    problem = [(text, "Use the tokenizer that the base was trained with.")]
    if share > UNKNOWN_FAILS:
        return problem, []
    return [], problem if share > UNKNOWN_WARNS else []


CHECKS = (
    Check(
        "K5",
        "supervision",
        "Does the loss see what it should learn from, and nothing else?",
        supervision,
    ),
)
