"""`graft predict`: score the rows of a file with a trained arm."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from graft.cli.options import Json, Quiet
from graft.cli.output import answering
from graft.core.errors import InputError, Problem
from graft.core.facts import MULTI_LABEL, REGRESSION

if TYPE_CHECKING:
    from graft.runs.prediction import Predicted

PrecisionName = Literal["auto", "fp32", "bf16"]
Model = Annotated[
    Path, typer.Argument(metavar="RUN|MODEL", help="Folder of a trained arm, or its model folder.")
]
Input = Annotated[Path, typer.Argument(metavar="INPUT", help="Rows as in training; no labels.")]
Target = Annotated[
    Path, typer.Argument(metavar="OUTPUT", help="The rows with scores: .parquet, .csv or .jsonl.")
]
Columns = Annotated[
    str,
    typer.Option(
        "--columns",
        metavar="ROLE=COLUMN,…",
        help="Which columns hold the texts: sentence1=question,sentence2=answer.",
    ),
]
Precision = Annotated[
    PrecisionName,
    typer.Option(
        "--precision",
        help="fp32 gives the scores of the run. bf16 is up to three times as fast where the "
        "processor has it, and moves a score by 0.0005 on average and by 0.003 at most "
        "(all-MiniLM-L6-v2); auto is bf16 there, else fp32.",
    ),
]


def predict(
    model: Model,
    source: Input,
    target: Target,
    columns: Columns = "",
    precision: Precision = "fp32",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score the rows of a file.

    Pairs get a score, rows of a classification a class and the probability of every class; several
    labels are parted by '|', and a number stands by itself. They are decided at the threshold that
    the run chose on its validation rows. The file is read and written part by part, so it may be of
    any length.
    """
    with answering(json, quiet) as output:
        wanted = named_columns(columns)
        from graft.runs.prediction import predict_file

        done = predict_file(model, source, target, wanted, precision)
        lines = [f"Wrote {done.rows} rows with {done.added[0]} to {target}.", _decided(done)]
        output.answer({"output": str(target), "predicted": done}, lines)


def _decided(done: Predicted) -> str:
    """Return how scores became decisions, in words."""
    known = done.threshold is not None
    at = f"{done.threshold:.4f}" if known else "0.5, since no run stands behind the model"
    if done.kind == REGRESSION:
        return "predicted is a number in the unit of the training labels."
    if done.kind == MULTI_LABEL:
        return f"predicted holds the labels with a probability of {at} or more."
    if done.positive:
        return f"predicted is '{done.positive}' from a score of {at} on."
    if known:
        return f"decision is true from a score of {done.threshold:.4f} on."
    if "predicted" in done.added:
        return "predicted is the class of the highest probability."
    return "No run stands behind the model, so nothing was decided."


def named_columns(text: str) -> dict[str, str]:
    """Return role to column.

    Raises:
        InputError: Not `role=column`, separated by commas.

    Example:
        >>> named_columns("sentence1=a,sentence2=b")
        {'sentence1': 'a', 'sentence2': 'b'}
    """
    parts = [part.partition("=") for part in text.split(",") if part]
    wrong = [
        Problem(f"--columns {''.join(part)}", "is not role=column", "write sentence1=question")
        for part in parts
        if not all(part)
    ]
    if wrong:
        raise InputError("columns", wrong)
    return {role.strip(): column.strip() for role, _, column in parts}
