"""The page and the model cards again, from the files of a run folder and without torch."""

from __future__ import annotations

from pathlib import Path

from graft.core.experiment import ExperimentIndex
from graft.core.files import read_json, write_manifest
from graft.core.layout import ExperimentPaths
from graft.core.roles import Role
from graft.report.card import write_card
from graft.report.page import write_report
from graft.report.pretraining_page import write_pretraining_report


def write_pages(root: Path) -> Path:
    """Write the cards of the arms that have scores, their manifests and the report; return it.

    Args:
        root: Folder of the experiment.

    Raises:
        RunFolderError: The folder is none, is not finished, or a file of it is damaged.
    """
    paths = ExperimentPaths(root)
    index = read_json(paths.index, ExperimentIndex)
    for entry in index.runs:
        if entry.role == Role.arm and paths.run(entry.name).scores.is_file():
            write_card(root, entry.name)
            write_manifest(paths.run(entry.name).root)
    if paths.pretraining.ledger.is_file():
        write_pretraining_report(paths.pretraining.root)
        write_manifest(paths.pretraining.root)
    return write_report(root)
