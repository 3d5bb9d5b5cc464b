"""What is known about the rows, for a terminal and as a document."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graft.cli.output import table
from graft.core.findings import Findings
from graft.core.tables import DataReport, LeakageReport, SeriesShape, SplitReport
from graft.report.numerals import count, plural

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

MOST_LABELS = 12
# Kind of leakage to its title.
KINDS = {
    "exact": "exact",
    "normalised": "normalised",
    "near": "near",
    "shared_any": "one text",
    "shared_all": "all texts",
    "groups": "group",
    "overlap": "overlap",
    "time": "time",
}
_OF_TEXTS = ("shared_any", "shared_all")
_OF_SERIES = ("overlap",)


def data_lines(report: DataReport, findings: Findings) -> list[RenderableType]:
    """Return rows per split, columns, leakage counts, notes and findings."""
    from graft.cli.outcome import finding_lines

    columns = ", ".join(f"{role} = {name}" for role, name in report.columns.items())
    lines: list[RenderableType] = [
        splits_table(report.splits),
        f"Splits: {report.split_method}",
        f"Columns: {columns}",
    ]
    if report.facts.texts and report.facts.classes:
        lines.append(f"Texts: {', '.join(report.facts.texts)}")
    if report.facts.channels:
        lines.append(f"Channels: {', '.join(report.facts.channels)}")
    if report.facts.table:
        numbers, categories = report.facts.numbers, report.facts.categories
        kinds = (("numbers", numbers), ("categories", categories))
        shown = "; ".join(f"{kind} {', '.join(names)}" for kind, names in kinds if names)
        lines.append(f"Table: {shown}")
    if report.ignored_columns:
        names = [name or "(no name)" for name in report.ignored_columns]
        lines.append(f"Not read: {', '.join(names)}")
    lines += [f"Note: {note}" for note in report.notes]
    if report.leakage:
        lines.append(leakage_table(report.leakage))
    return [*lines, *finding_lines(findings)]


def splits_table(splits: tuple[SplitReport, ...]) -> Table:
    """Return one line per split: rows, labels, repeats, lengths."""
    rows = [
        (
            split.split,
            count(split.rows),
            _labels(split.labels),
            count(split.duplicates),
            count(split.contradictions),
            *_extent(split),
        )
        for split in splits
    ]
    extent = (
        ("steps", "missing values") if splits[0].series else ("longest text, tokens", "truncated")
    )
    numbers = ("rows", "duplicates", "contradictions", *extent)
    names = ("split", "rows", "labels", *numbers[1:])
    return table("Rows", names, rows, numbers)


def _extent(split: SplitReport) -> tuple[str, str]:
    """Return how long the rows of a split are, and how much of them lacks or is not read."""
    if split.series:
        return _steps(split.series), count(split.series.gaps)
    longest = [text.tokens_max for text in split.lengths if text.tokens_max is not None]
    cut = [text.truncated for text in split.lengths if text.truncated is not None]
    return (
        count(max(longest)) if longest else "not measured",
        count(sum(cut)) if cut else "not measured",
    )


def _steps(shape: SeriesShape) -> str:
    """Return the lengths of series in words.

    Example:
        >>> _steps(SeriesShape(7, 15.0, 29, 0, 0, 0, {}))
        '7 to 29, median 15'
    """
    if shape.shortest == shape.longest:
        return count(shape.longest)
    return f"{count(shape.shortest)} to {count(shape.longest)}, median {shape.median:g}"


def _labels(counts: dict[str, int]) -> str:
    """Return the count of each label, or of many labels the fewest and the most.

    Example:
        >>> _labels({"no": 3, "yes": 5})
        'no: 3, yes: 5'
        >>> _labels({str(label): 10 + label for label in range(20)})
        '20 labels of 10 to 29 rows'
    """
    if len(counts) > MOST_LABELS:
        fewest, most = min(counts.values()), max(counts.values())
        return f"{len(counts)} labels of {count(fewest)} to {count(most)} rows"
    return ", ".join(f"{label}: {count(number)}" for label, number in counts.items())


def leakage_table(reports: tuple[LeakageReport, ...]) -> Table:
    """Return one line per evaluation split: what the training rows give away of it."""
    others = _OF_TEXTS if reports[0].shared_any is None else _OF_SERIES
    kinds = [kind for kind in KINDS if kind not in others]
    rows = [
        (
            leak.split,
            *(_counted(getattr(leak, kind)) for kind in kinds),
            count(len(leak.leaked)),
            count(leak.clean_rows),
        )
        for leak in reports
    ]
    numbers = (*(KINDS[kind] for kind in kinds), "leaked", "clean")
    policy = ", ".join(reports[0].policy)
    title = f"Given away by the training rows (leaked: {policy})"
    return table(title, ("split", *numbers), rows, numbers)


def _counted(number: int | None) -> str:
    return "no column" if number is None else count(number)


def data_document(report: DataReport, findings: Findings) -> dict[str, object]:
    """Return the report and the findings for machines."""
    leaked = sum(len(leak.leaked) for leak in report.leakage)
    return {"data": report, "leaked_rows": leaked, "findings": findings.items}


def written(counts: dict[str, int]) -> str:
    """Return which files were written.

    Example:
        >>> written({"train.jsonl": 80, "test.jsonl": 1})
        'train.jsonl (80 rows), test.jsonl (1 row)'
    """
    return ", ".join(f"{name} ({plural(rows, 'row')})" for name, rows in counts.items())
