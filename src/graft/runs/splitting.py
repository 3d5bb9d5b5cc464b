"""A data set as one JSON Lines file per split, under the column names that it came with."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from pathlib import Path

from graft.core.errors import Problem, RunFolderError
from graft.core.files import committed_folder, write_json, write_text
from graft.core.jsonable import to_plain
from graft.core.roles import Split
from graft.core.tables import DataReport
from graft.data.dataset import Dataset


def write_splits(dataset: Dataset, report: DataReport, folder: Path) -> dict[str, int]:
    """Write a file per split that has rows, and `report.json`; return file name to rows.

    Args:
        dataset: The rows.
        report: What is known about them.
        folder: A new or empty folder; it appears whole or not at all.

    Raises:
        RunFolderError: The folder holds something already.
    """
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        problem = Problem(str(folder), "is there already and holds something", "name a new folder")
        raise RunFolderError("output folder", [problem])
    counts = {}
    with committed_folder(folder) as place:
        for split in Split:
            records = dataset.as_read(split).to_dict("records")
            if not records:
                continue
            lines = [json.dumps(_plain(record), ensure_ascii=False) for record in records]
            write_text(place / f"{split}.jsonl", "".join(f"{line}\n" for line in lines))
            counts[f"{split}.jsonl"] = len(lines)
        write_json(place / "report.json", report)
    return counts


def _plain(record: Mapping[Hashable, object]) -> dict[str, object]:
    """Return the record with times as ISO 8601 text."""
    return {
        str(key): to_plain(value.isoformat() if hasattr(value, "isoformat") else value, str(key))
        for key, value in record.items()
    }
