"""`graft verify-frozen`: which tensors of a tuned model moved, and are they the right ones?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graft.cli.group import FAILED
from graft.cli.options import Json, Quiet
from graft.cli.output import answering, table

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from graft.audits.frozen import FrozenReport

Base = Annotated[Path, typer.Argument(metavar="BASE", help="Folder of the model before.")]
Tuned = Annotated[Path, typer.Argument(metavar="TUNED", help="Folder of the model after.")]
Frozen = Annotated[
    list[str] | None,
    typer.Option(metavar="PATTERN", help="Tensors that must be FROZEN: encoder.layer.[0-3]."),
]
Updated = Annotated[
    list[str] | None, typer.Option(metavar="PATTERN", help="Tensors that must be UPDATED.")
]


def verify_frozen(
    base: Base,
    tuned: Tuned,
    expect_frozen: Frozen = None,
    expect_updated: Updated = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say FROZEN or UPDATED, tensor by tensor.

    Exit code 2 if nothing moved, or something other than expected.
    """
    with answering(json, quiet) as output:
        from graft.audits.frozen import compare_folders, violations

        report = compare_folders(base, tuned)
        wrong = list(violations(report, expect_frozen or (), expect_updated or ()))
        if not report.updated:
            wrong.insert(0, f"every tensor is FROZEN: {tuned} is its base")
        document = {
            "updated": report.updated,
            "frozen": report.frozen,
            "violations": wrong,
            "comparison": report,
        }
        shown = [moved_table(report), *_lines(report), *(f"Not as expected: {w}." for w in wrong)]
        output.answer(document, shown, exit_code=FAILED if wrong else 0)


def moved_table(report: FrozenReport) -> Table:
    """Return modules with their tensors below them."""
    rows = []
    for module in report.modules:
        own = [tensor for tensor in report.tensors if tensor.module == module.name]
        moved = f"{module.updated} of {module.tensors} tensors"
        rows.append((module.name or "(root)", str(module.movement), moved, "", ""))
        for tensor in own:
            leaf = f"  {tensor.name.rpartition('.')[2]} {list(tensor.shape)}"
            change = f"{tensor.relative_change:.2e}" if tensor.changed_share else "0"
            share = f"{tensor.changed_share:.1%}"
            rows.append((leaf, str(tensor.movement), "", share, change))
    numbers = ("elements changed", "relative change")
    return table("Tuned against base", ("module, tensor", "", "updated", *numbers), rows, numbers)


def _lines(report: FrozenReport) -> list[RenderableType]:
    named = {
        "In the base only": report.missing,
        "In the tuned folder only": report.new,
        "Of another shape": report.mismatched,
        "In another number format, compared in the tuned one": report.converted,
    }
    lines: list[RenderableType] = [
        f"{title}: {', '.join(names)}" for title, names in named.items() if names
    ]
    modules = sum(bool(module.updated) for module in report.modules)
    return [
        *lines,
        f"{report.updated} tensors UPDATED, {report.frozen} FROZEN; "
        f"{modules} of {len(report.modules)} modules UPDATED.",
    ]
