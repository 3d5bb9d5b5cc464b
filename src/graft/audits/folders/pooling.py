"""K11: does the tuned Sentence-Transformers model pool, normalise and prompt as the base does?"""

from __future__ import annotations

from typing import Any

from graft.audits.contract import Answer, Check
from graft.audits.folders.causes import Faults
from graft.audits.folders.evidence import FolderEvidence
from graft.audits.folders.places import Kind, Place, json_file
from graft.core.errors import NotApplicableError

_OLD_MODES = "pooling_mode_"


def pooling_unchanged(evidence: FolderEvidence) -> Answer:
    """Return whether modules, pooling and prompts are the base's."""
    base, tuned = evidence.base, evidence.tuned
    if base.kind != Kind.sentence_transformers:
        raise NotApplicableError(f"the base is a {base.kind}: it has no pooling to keep")
    faults = Faults()
    before = _chain(base)
    if not tuned.modules:
        if tuned.kind != Kind.transformers or _has_head(tuned):
            raise NotApplicableError(f"the tuned model is a {tuned.kind} for another use")
        plain = before == ["Transformer", "Pooling (mean)"]
        what = f"modules.json was not saved: {' → '.join(before)} becomes mean pooling"
        faults.add("pooling_changed", what, blocks=not plain)
        return faults.answer("", {"base": before, "tuned": []})
    after = _chain(tuned)
    shown: dict[str, Any] = {"base": before, "tuned": after}
    if before != after:
        # A new dense module is a new head.
        rest = [module for module in after if not module.startswith("Dense")]
        grown = rest == before
        what = f"the modules were {' → '.join(before)}, are {' → '.join(after)}"
        faults.add("pooling_changed", what, blocks=not grown)
    _prompts(base, tuned, shown, faults)
    return faults.answer(f"The modules are {' → '.join(after)}", shown)


def _has_head(place: Place) -> bool:
    return any("For" in name for name in place.config.get("architectures") or ())


def _chain(place: Place) -> list[str]:
    """Return the modules in order, the pooling with its mode."""
    return [_described(place, kind, folder) for kind, folder in place.modules]


def _described(place: Place, kind: str, folder: str) -> str:
    if kind != "Pooling":
        return kind
    config = json_file(place.folder / folder / "config.json")
    mode = config.get("pooling_mode")
    if mode is None:  # before version 5 each mode was a flag
        flags = [key for key, on in config.items() if key.startswith(_OLD_MODES) and on is True]
        names = [flag.removeprefix(_OLD_MODES).removesuffix("_tokens") for flag in flags]
        mode = "+".join(name.removesuffix("_token") for name in sorted(names))
    return f"Pooling ({mode if isinstance(mode, str) else '+'.join(sorted(mode))})"


def _prompts(base: Place, tuned: Place, shown: dict[str, Any], faults: Faults) -> None:
    settings = [json_file(p.folder / "config_sentence_transformers.json") for p in (base, tuned)]
    prompts = [
        {name: text for name, text in (one.get("prompts") or {}).items() if text}
        for one in settings
    ]
    usual = [one.get("default_prompt_name") for one in settings]
    if prompts[0] != prompts[1] or usual[0] != usual[1]:
        what = f"the prompts were {prompts[0]} ({usual[0]}), are {prompts[1]} ({usual[1]})"
        faults.add("prompts_changed", what, blocks=False)
    shown |= {"prompts": prompts, "default_prompts": usual}


CHECKS = (
    Check(
        "K11",
        "pooling_unchanged",
        "Does it pool, normalise and prompt as the base does?",
        pooling_unchanged,
    ),
)
