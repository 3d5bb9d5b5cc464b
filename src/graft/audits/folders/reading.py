"""K11: does the tuned model read a text as the base does?"""

from __future__ import annotations

from typing import Any

from jinja2 import TemplateError

from graft.audits.contract import Answer, Check, listed, named
from graft.audits.folders.causes import Faults
from graft.audits.folders.evidence import FolderEvidence
from graft.audits.folders.opened import full_config, tokenizer_of
from graft.audits.folders.places import Kind, Place, json_file
from graft.audits.folders.rows import PROBES
from graft.core.errors import NotApplicableError
from graft.models.encoder import quiet_transformers

_TALK = (
    {"role": "user", "content": "What is two and three?"},
    {"role": "assistant", "content": "Five."},
    {"role": "user", "content": "And one more?"},
)
_SPECIAL = ("pad_token", "unk_token", "bos_token", "eos_token", "cls_token", "sep_token")
_ENDLESS = 10**9  # tokenizers without a limit carry a very large number
# Other values with the same tensors make another model.
_FIXED = (
    *("model_type", "num_attention_heads", "num_key_value_heads", "head_dim"),
    *("hidden_act", "hidden_activation", "activation_function", "layer_norm_eps"),
    *("layer_norm_epsilon", "rms_norm_eps", "position_embedding_type"),
)
# People change these on purpose, for longer texts.
_REACH = ("rope_parameters", "rope_theta", "rope_scaling", "sliding_window")


def reading_unchanged(evidence: FolderEvidence) -> Answer:
    """Return whether token ids, special tokens, limits and chat template are the base's."""
    base, tuned = evidence.base, evidence.tuned
    faults = Faults()
    if not tuned.has_tokenizer and base.has_tokenizer and _should_hold_one(tuned):
        what = f"no tokenizer lies in the {tuned.kind}"
        faults.add("no_tokenizer", what, blocks=False)
        return faults.answer("The config is there", {"tokenizer": None})
    before, after = tokenizer_of(base), tokenizer_of(tuned)
    texts = [text for row in evidence.asked[:64] for text in row]
    texts = list(dict.fromkeys([*texts, *PROBES]))
    with quiet_transformers():  # a text above the limit is no fault here
        one, two = (
            {text: list(tokenizer(text)["input_ids"]) for text in texts}
            for tokenizer in (before, after)
        )
    other = [text for text in texts if one[text] != two[text]]
    words, known = after.get_vocab(), before.get_vocab()
    moved = [token for token, place in known.items() if words.get(token) != place]
    added = [token for token in words if token not in known]
    shown: dict[str, Any] = {
        "texts": len(texts),
        "other_token_ids": listed(
            {"text": text[:80], "base": one[text][:20], "tuned": two[text][:20]}
            for text in other[:3]
        ),
        "tokens_moved": listed(sorted(moved)),
        "tokens_added": listed(sorted(added)),
    }
    if other and (moved or not added):
        what = f"{len(other)} of {len(texts)} texts give other token ids ({other[0][:40]!r})"
        faults.add("tokens_changed", what, blocks=not _resized(evidence))
    _settings(evidence, before, after, shown, faults)
    summary = f"{len(texts)} texts give the same token ids"
    if other and not (moved or not added):
        summary = f"{len(added)} tokens were added, all others kept their ids"
    return faults.answer(summary, shown)


def _should_hold_one(place: Place) -> bool:
    if place.kind in (Kind.weights, Kind.adapter):
        raise NotApplicableError(f"{place.kind} without a tokenizer: the base's is used")
    return True


def _resized(evidence: FolderEvidence) -> bool:
    """Return True if the tuned folder has an embedding of another size than the base."""
    sizes = {evidence.base.config.get("vocab_size"), evidence.tuned.config.get("vocab_size")}
    return bool(evidence.tuned.config) and len(sizes) > 1


def _limit(place: Place, tokenizer: Any) -> int:  # noqa: ANN401
    """Return the tokens that are read of a text; Sentence-Transformers keeps a limit of its own."""
    own = json_file(place.backbone / "sentence_bert_config.json").get("max_seq_length")
    return min(int(tokenizer.model_max_length), own or _ENDLESS, _ENDLESS)


def _settings(
    evidence: FolderEvidence,
    before: Any,  # noqa: ANN401
    after: Any,  # noqa: ANN401
    shown: dict[str, Any],
    faults: Faults,
) -> None:
    special = {
        name: [getattr(before, name, None), getattr(after, name, None)]
        for name in _SPECIAL
        if getattr(before, name, None) != getattr(after, name, None)
    }
    # A base without a padding token is given one; that it changes another is worth a note.
    changed = [name for name, (old, _) in special.items() if old is not None]
    if changed:
        told = "; ".join(f"{n} was {special[n][0]!r}, is {special[n][1]!r}" for n in changed)
        faults.add("tokens_changed", told, blocks=False)
    if before.padding_side != after.padding_side:
        what = f"padding side was {before.padding_side}, is {after.padding_side}"
        faults.add("limit_lowered", what, blocks=False)
    limits = [_limit(evidence.base, before), _limit(evidence.tuned, after)]
    if limits[1] < limits[0]:
        was = "all of them" if limits[0] == _ENDLESS else limits[0]
        faults.add(
            "limit_lowered",
            f"{limits[1]} tokens of a text are read, the base reads {was}",
            blocks=False,
        )
    talks = [_rendered(tokenizer) for tokenizer in (before, after)]
    if talks[0] is not None and talks[0] != talks[1]:
        gone = "is gone" if talks[1] is None else "renders a probe conversation otherwise"
        faults.add("template_changed", f"the chat template {gone}")
    shown |= {"special": special, "limits": limits, "templates": [t is not None for t in talks]}


def _rendered(tokenizer: Any) -> str | None:  # noqa: ANN401
    """Return a probe conversation in the tokenizer's template; None if it has none."""
    if not getattr(tokenizer, "chat_template", None):
        return None
    try:
        return str(tokenizer.apply_chat_template(list(_TALK), tokenize=False))
    except (TemplateError, ValueError, TypeError) as error:
        return f"{type(error).__name__}: {error}"


def label_order(evidence: FolderEvidence) -> Answer:
    """Return whether the labels stand where the base's stand, and both maps agree."""
    base, tuned = _labels(evidence.base), _labels(evidence.tuned)
    if tuned is None:
        raise NotApplicableError("the tuned config names no labels")
    faults = Faults()
    inverse = evidence.tuned.config.get("label2id") or {}
    wrong = [n for i, n in tuned.items() if n in inverse and int(inverse[n]) != i]
    if wrong:
        what = f"id2label and label2id contradict each other ({named(wrong)})"
        faults.add("labels_permuted", what)
    shown = {"base": base, "tuned": tuned}
    if base is None or len(base) != len(tuned):
        return faults.answer(f"The labels {named(list(tuned.values()))} are new", shown)
    old = {index: name.casefold() for index, name in base.items()}
    new = {index: name.casefold() for index, name in tuned.items()}
    if _default(tuned) and not _default(base):
        what = f"the base's label names are gone ({named(list(base.values()))})"
        faults.add("labels_permuted", what, blocks=False)
    elif old != new and sorted(old.values()) == sorted(new.values()):
        what = f"the labels were {list(base.values())}, are {list(tuned.values())}"
        faults.add("labels_permuted", what)
    return faults.answer(f"The labels are {named(list(tuned.values()))}", shown)


def _labels(place: Place) -> dict[int, str] | None:
    found = place.config.get("id2label")
    return {int(index): str(name) for index, name in sorted(found.items())} if found else None


def _default(labels: dict[int, str]) -> bool:
    return all(name == f"LABEL_{index}" for index, name in labels.items())


def architecture_unchanged(evidence: FolderEvidence) -> Answer:
    """Return whether the fields of config.json that make the model are the base's."""
    before, after = full_config(evidence.base), full_config(evidence.tuned)
    changed = {
        key: [before[key], after[key]]
        for key in (*_FIXED, *_REACH)
        if key in before and key in after and before[key] != after[key]
    }
    faults = Faults()
    for key, (old, new) in changed.items():
        faults.add("architecture_changed", f"{key} was {old}, is {new}", blocks=key in _FIXED)
    old, new = (config.get("max_position_embeddings") for config in (before, after))
    if isinstance(old, int) and isinstance(new, int) and new < old:
        what = f"max_position_embeddings was {old}, is {new}"
        faults.add("limit_lowered", what, blocks=False)
    return faults.answer("The architecture is the base's", {"changed": changed})


CHECKS = (
    Check("K11", "reading_unchanged", "Does it read a text as the base does?", reading_unchanged),
    Check("K11", "label_order", "Are the labels in the base's order?", label_order),
    Check(
        "K11",
        "architecture_unchanged",
        "Does config.json describe the base's architecture?",
        architecture_unchanged,
    ),
)
