"""What a saved model says of texts, loaded by the route that its users take."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from peft import PeftModel
from sentence_transformers import SentenceTransformer
from transformers import AutoTokenizer

from graft.audits.adapter_files import match_names
from graft.audits.folders.adapters import take_apart
from graft.audits.folders.places import Kind, Place
from graft.audits.folders.skeleton import REFUSALS, adapter_class, head_labels, model_class
from graft.core.errors import ModelError, NotApplicableError, Problem
from graft.models.encoder import quiet_transformers
from graft.tasks.protocol import Array

BATCH = 32
LONGEST = 512
Row = Sequence[str]


@dataclass(frozen=True, eq=False)
class Answers:
    """What a model says of rows of texts.

    Args:
        kind: `embedding`, `labels` or `tokens`: what `outputs` are.
        outputs: `[rows, …]`: embeddings (of two texts side by side), logits of the labels, or
            logits of tokens (of the next one for a causal model, else their mean).
        body: `[rows, width]`: mean of the last hidden states before any head.
        labels: Names of the labels by position; empty for other kinds.
        new: Tensors that no file holds, drawn at random on loading.
        unstable: True if a second loading gave other outputs.
    """

    kind: str
    outputs: Array
    body: Array
    labels: tuple[str, ...]
    new: tuple[str, ...]
    unstable: bool


@dataclass(frozen=True)
class _Opened:
    kind: str
    said: Callable[[Row], tuple[torch.Tensor, torch.Tensor]]
    labels: tuple[str, ...]
    new: tuple[str, ...]


def answers(place: Place, base: Place, rows: Sequence[Row]) -> Answers:
    """Return what the model in `place` says of `rows`; an adapter is loaded on `base`.

    Args:
        place: The model.
        base: Where an adapter's base and a missing tokenizer are taken from.
        rows: One text or two each.

    Raises:
        NotApplicableError: The place cannot be loaded by a public route, for the named reason.
        ModelError: It should load and does not; holds the library's message.
    """
    _refuse_what_has_no_route(place, base)
    with _quiet():
        try:
            opened = _open(place, base, seed=0)
            outputs, body = _run(opened, rows)
            again = outputs
            if opened.new:
                again, _ = _run(_open(place, base, seed=1), rows)
        except REFUSALS as error:
            what = f"does not load: {type(error).__name__}: {str(error)[:300]}"
            if place.config.get("quantization_config") or isinstance(error, ImportError):
                raise NotApplicableError(f"the model {what}") from None
            raise ModelError(str(place.path), [Problem(str(place.path), what, "")]) from None
    return Answers(
        kind=opened.kind,
        outputs=outputs,
        body=body,
        labels=opened.labels,
        new=opened.new,
        unstable=not np.array_equal(outputs, again, equal_nan=True),
    )


def _refuse_what_has_no_route(place: Place, base: Place) -> None:
    named = base if place.kind == Kind.adapter else place
    if named.kind == Kind.weights:
        raise NotApplicableError(f"{named.path.name} holds bare weights, which no library loads")
    if place.kind == Kind.adapter and base.kind == Kind.adapter:
        raise NotApplicableError("base and tuned are both adapters")
    if named.config.get("auto_map"):
        raise NotApplicableError("the model needs code of its own, which is not run")
    if not (place.has_tokenizer or base.has_tokenizer):
        raise NotApplicableError("no tokenizer was saved")


@contextmanager
def _quiet() -> Iterator[None]:
    with quiet_transformers(), warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")
        yield


def _open(place: Place, base: Place, seed: int) -> _Opened:
    torch.manual_seed(seed)
    model_place = base if place.kind == Kind.adapter else place
    if model_place.kind == Kind.sentence_transformers:
        return _open_encoder(place, model_place)
    return _open_model(place, model_place, base)


def _open_encoder(place: Place, model_place: Place) -> _Opened:
    model = SentenceTransformer(
        str(model_place.folder),
        device="cpu",
        model_kwargs={"torch_dtype": torch.float32},
        local_files_only=True,
    )
    backbone = model[0].auto_model
    known = match_names(list(backbone.state_dict()), list(model_place.tensors))
    tied = set(getattr(backbone, "all_tied_weights_keys", None) or ())
    new = tuple(n for n in backbone.state_dict() if n not in known and n not in tied)
    if place.kind == Kind.adapter:
        model[0].model = PeftModel.from_pretrained(backbone, str(place.folder))
    model.eval()

    def said(row: Row) -> tuple[torch.Tensor, torch.Tensor]:
        vectors = model.encode(list(row), convert_to_tensor=True, show_progress_bar=False)
        return vectors.reshape(-1), vectors.reshape(-1)

    return _Opened("embedding", said, (), new)


def _open_model(place: Place, model_place: Place, base: Place) -> _Opened:
    extra: dict[str, Any] = {}
    kind = model_class(model_place.config)
    if place.kind == Kind.adapter:
        kind = adapter_class(base, place)
        labels = head_labels(place)
        extra |= {"num_labels": labels} if labels else {}
    model, info = kind.from_pretrained(
        str(model_place.backbone),
        local_files_only=True,
        dtype=torch.float32,
        output_loading_info=True,
        **extra,
    )
    new = set(info["missing_keys"]) | set(info["mismatched_keys"])
    whole = model
    if place.kind == Kind.adapter:
        new -= set(take_apart(place).whole)
        whole = PeftModel.from_pretrained(model, str(place.folder))
    whole.eval()
    source = place if place.has_tokenizer else base
    read = _reader(source, model)
    names = getattr(model.config, "id2label", None) or {}

    @torch.inference_mode()
    def said(row: Row) -> tuple[torch.Tensor, torch.Tensor]:
        inputs = read(row)
        inner = model.base_model
        if getattr(model.config, "is_encoder_decoder", False):
            start = model.config.decoder_start_token_id or 0
            body = inner.get_encoder()(**inputs)[0][0].mean(0)
            inputs["decoder_input_ids"] = torch.tensor([[start]])
        else:
            body = inner(**inputs)[0][0].mean(0)
        result = whole(**inputs)
        logits = getattr(result, "logits", None)
        if logits is None:
            logits = result[0] if isinstance(result[0], torch.Tensor) else body[None]
        if logits.ndim < 3:
            return logits[0], body
        causal = type(model).__name__.endswith("ForCausalLM")
        return (logits[0, -1] if causal else logits[0].mean(0)), body

    outputs = _kind(type(model).__name__)
    ordered = tuple(str(names[key]) for key in sorted(names)) if outputs == "labels" else ()
    return _Opened(outputs, said, ordered, tuple(sorted(map(str, new))))


def _reader(source: Place, model: Any) -> Callable[[Row], dict[str, torch.Tensor]]:  # noqa: ANN401
    tokenizer = AutoTokenizer.from_pretrained(str(source.backbone), local_files_only=True)
    places = getattr(model.config, "max_position_embeddings", None) or LONGEST
    # Some models count positions from 2 on.
    limit = min(tokenizer.model_max_length, max(places - 2, 1), LONGEST)

    def read(row: Row) -> dict[str, torch.Tensor]:
        inputs = tokenizer(*row, truncation=True, max_length=limit, return_tensors="pt")
        if not getattr(model.config, "type_vocab_size", 0):
            inputs.pop("token_type_ids", None)
        return dict(inputs)

    return read


def _kind(name: str) -> str:
    if name.endswith(("ForSequenceClassification", "ForMultipleChoice")):
        return "labels"
    return "tokens" if "For" in name or name.endswith("LMHeadModel") else "embedding"


def _run(opened: _Opened, rows: Sequence[Row]) -> tuple[Array, Array]:
    """Return outputs and bodies row by row; alone, a row has no padding that could matter."""
    said = [opened.said(row) for row in rows]
    outputs, bodies = zip(*said, strict=True)
    return tuple(  # type: ignore[return-value]
        torch.stack([one.detach().float().reshape(-1) for one in side]).numpy()
        for side in (outputs, bodies)
    )
