"""What the loss sees of collated batches: tokens with loss, ends, prompts, labels of whole rows."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from graft.core.supervision import Supervision, label_counts

IGNORED = -100  # label of a position without loss, in every library
Batch = Mapping[str, Any]
Kind = Literal["causal", "masked", "sequence", "classes"]
_TAIL = 4  # a chat template may write a line break after the end of a turn
_NEARLY_ALL = 0.9  # of the rows fill the limit: pieces of longer texts
_SHOWN = 5  # rows that are named per count


@dataclass(frozen=True)
class SpecialTokens:
    """The token ids that decide what a position means.

    Args:
        start: The start token; None if there is none.
        ends: Tokens that end a text or a turn.
        unknown: What stands for unknown words; None if there is none.
        special: All special tokens.
        mask: The mask token; None if there is none.
        opening: What the chat template writes before an answer, as ids; empty without a template.
    """

    start: int | None
    ends: frozenset[int]
    unknown: int | None
    special: frozenset[int]
    mask: int | None
    opening: tuple[int, ...]


@dataclass(frozen=True)
class Rules:
    """What is expected of rows of tokens.

    Args:
        kind: `causal` (the model shifts the labels itself), `masked` (masked words), `sequence`
            (encoder and decoder), or `classes` (a class per token).
        answers_only: True if only answers should carry loss.
        limit: Tokens that the model reads of one row; None if there is no limit.
        whole: True if a row holds a whole text, False if it may be a piece of one, None if that
            is not known; then chats are taken for whole unless nearly all of them fill the limit.
    """

    kind: Kind
    answers_only: bool = False
    limit: int | None = None
    whole: bool | None = None


def special_tokens(tokenizer: Any, ends: Sequence[int] = ()) -> SpecialTokens:  # noqa: ANN401
    """Return the tokens of a Transformers tokenizer that decide what a position means.

    Args:
        tokenizer: The tokenizer.
        ends: More tokens that end a text, such as those of the generation config.
    """
    end, pad, start = (getattr(tokenizer, f"{name}_token_id") for name in ("eos", "pad", "bos"))
    unknown = getattr(tokenizer, "unk_token_id", None)
    return SpecialTokens(
        start=start,
        ends=frozenset([*ends, *([] if end is None else [end])]),
        # GPT-2 has one token for everything; there it says nothing about unknown words.
        unknown=None if unknown in (end, pad, start) else unknown,
        special=frozenset(tokenizer.all_special_ids),
        mask=getattr(tokenizer, "mask_token_id", None),
        opening=_opening(tokenizer),
    )


def _opening(tokenizer: Any) -> tuple[int, ...]:  # noqa: ANN401
    if not getattr(tokenizer, "chat_template", None):
        return ()
    question = [{"role": "user", "content": "?"}]
    told, asked = (
        tokenizer.apply_chat_template(question, tokenize=False, add_generation_prompt=add)
        for add in (False, True)
    )
    if not asked.startswith(told):
        return ()
    return tuple(tokenizer(asked[len(told) :], add_special_tokens=False)["input_ids"])


def count_tokens(batches: Sequence[Batch], tokens: SpecialTokens, rules: Rules) -> Supervision:
    """Return the census of batches whose labels are tokens or classes of tokens.

    Rows that are packed one after the other are told apart by their restarting positions.

    Args:
        batches: Collated batches with `input_ids` and `labels`, `[rows, length]`.
        tokens: The tokens that decide what a position means.
        rules: What is expected of them.
    """
    rows = [row for batch in batches for row in _rows(batch)]
    rules = replace(rules, whole=_are_whole([ids for ids, _ in rows], tokens, rules))
    kind, limit, answers_only = rules.kind, rules.limit, rules.answers_only
    counted: dict[str, list[str]] = defaultdict(list)
    labels: Counter[int] = Counter()
    for index, (ids, row_labels) in enumerate(rows):
        for name in _findings(ids, row_labels, tokens, rules):
            counted[name].append(str(index))
        if kind == "classes":
            labels.update(label for label in row_labels if label != IGNORED)
    units = sum(label != IGNORED for _, row_labels in rows for label in row_labels)
    if kind == "masked" and units:
        counted.pop("rows_without_loss", None)  # a short row has no masked word by chance
    count = _counter(counted)
    text = kind in ("causal", "sequence")
    return Supervision(
        unit="tokens",
        rows=len(rows),
        units=units,
        rows_without_loss=count("rows_without_loss"),
        tokens=sum(len(ids) for ids, _ in rows),
        truncated_rows=count("truncated_rows"),
        limit=limit,
        unknown_tokens=sum(ids.count(tokens.unknown) for ids, _ in rows) if tokens.unknown else 0,
        empty_rows=count("empty_rows"),
        labels=label_counts(labels.elements()) if labels else {},
        ends_missing=count("ends_missing") if text and tokens.ends else None,
        answers_cut=count("answers_cut") if text and tokens.ends and limit else None,
        prompts_supervised=count("prompts_supervised") if answers_only else None,
        doubled_starts=count("doubled_starts") if tokens.start is not None else None,
        shifted_labels=count("shifted_labels") if kind == "causal" else None,
        template_supervised=count("template_supervised")
        if answers_only and tokens.opening
        else None,
        examples=_examples(counted),
    )


def count_rows(
    batches: Sequence[Batch],
    tokens: SpecialTokens | None,
    unit: str = "rows",
    limit: int | None = None,
) -> Supervision:
    """Return the census of batches whose labels belong to whole rows.

    Args:
        batches: Collated batches; texts in every key that ends with `input_ids`, labels in
            `label`, `labels` or `score` if there are any.
        tokens: The tokens that decide what a position means, None without a tokenizer.
        unit: `rows` or `pairs`.
        limit: Tokens that the model reads of one text.
    """
    counted: dict[str, list[str]] = defaultdict(list)
    found: list[float | int] = []
    rows = total = unknown = without = 0
    for batch in batches:
        texts = [list(_texts(batch, key)) for key in batch if key.endswith("input_ids")]
        labels = _row_labels(batch)
        size = len(texts[0]) if texts else row_count(batch)
        for index in range(size):
            read = [column[index] for column in texts if index < len(column)]
            total += sum(map(len, read))
            unknown += sum(
                tokens is not None and word == tokens.unknown for t in read for word in t
            )
            if any(limit and len(text) >= limit for text in read):
                counted["truncated_rows"].append(str(rows + index))
            if tokens and any(set(text) <= tokens.special for text in read):
                counted["empty_rows"].append(str(rows + index))
        without += sum(label == IGNORED for label in labels)
        found += [label for label in labels if label != IGNORED]
        rows += size
    count = _counter(counted)
    return Supervision(
        unit=unit,
        rows=rows,
        units=rows - without,
        rows_without_loss=without,
        tokens=total,
        truncated_rows=count("truncated_rows"),
        limit=limit,
        unknown_tokens=unknown,
        empty_rows=count("empty_rows"),
        labels=label_counts(found),
        examples=_examples(counted),
    )


def row_count(batch: Batch) -> int:
    """Return the rows of a batch: the length of its first tensor that has one."""
    return next((len(v) for v in batch.values() if isinstance(v, Tensor) and v.ndim), 0)


def _counter(counted: Mapping[str, list[str]]) -> Callable[[str], int]:
    return lambda name: len(counted.get(name, ()))


def _examples(counted: Mapping[str, list[str]]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(ids[:_SHOWN]) for name, ids in counted.items()}


def _rows(batch: Batch) -> Iterator[tuple[list[int], list[int]]]:
    """Yield the token ids and labels of every row, without padding, packed rows one by one."""
    ids, labels = batch["input_ids"], batch["labels"]
    for index in range(len(ids)):
        kept = _kept(batch, "input_ids", index)
        if labels.shape != ids.shape:
            yield ids[index][kept].tolist(), labels[index].tolist()
            continue
        row, row_labels = ids[index][kept].tolist(), labels[index][kept].tolist()
        for start, end in itertools.pairwise(segments(batch, index, kept)):
            yield row[start:end], row_labels[start:end]


def segments(batch: Batch, index: int, kept: Tensor | None = None) -> list[int]:
    """Return where the packed texts of row `index` begin, and last where the row ends.

    Example:
        >>> segments({"input_ids": torch.ones(1, 5), "position_ids":
        ...     torch.tensor([[0, 1, 2, 0, 1]])}, 0)
        [0, 3, 5]
    """
    mask = _kept(batch, "input_ids", index) if kept is None else kept
    positions = batch.get("position_ids")
    length = int(mask.sum())
    if positions is None or positions.shape != batch["input_ids"].shape:
        return [0, length]
    starts = (positions[index][mask] == 0).nonzero().flatten().tolist()
    return [0, *(int(start) for start in starts if start), length]


def _texts(batch: Batch, key: str) -> Iterator[list[int]]:
    for index in range(len(batch[key])):
        yield batch[key][index][_kept(batch, key, index)].tolist()


def _kept(batch: Batch, key: str, index: int) -> Tensor:
    """Return which positions of a row are no padding."""
    mask = batch.get(key.removesuffix("input_ids") + "attention_mask")
    if isinstance(mask, Tensor) and mask.shape == batch[key].shape:
        return mask[index].bool()
    return torch.ones_like(batch[key][index], dtype=torch.bool)


def _row_labels(batch: Batch) -> list[float | int]:
    for key in ("labels", "label", "score", "scores"):
        values = batch.get(key)
        if isinstance(values, Tensor) and values.ndim == 1:
            return [round(value, 6) for value in values.float().tolist()]
    return []


def _are_whole(rows: Sequence[list[int]], tokens: SpecialTokens, rules: Rules) -> bool:
    if rules.whole is False or not any(_places(ids, tokens.opening) for ids in rows):
        return False
    full = sum(rules.limit is not None and len(ids) >= rules.limit for ids in rows)
    return rules.whole is True or full < _NEARLY_ALL * len(rows)


def _findings(
    ids: list[int], labels: list[int], tokens: SpecialTokens, rules: Rules
) -> Iterator[str]:
    """Yield the name of each count of `Supervision` that the row adds to."""
    kind, full = rules.kind, rules.limit is not None and len(ids) >= rules.limit
    if all(label == IGNORED for label in labels):
        yield "rows_without_loss"
    if set(ids) <= tokens.special:
        yield "empty_rows"
    if tokens.start is not None and ids[:2] == [tokens.start, tokens.start]:
        yield "doubled_starts"
    if kind == "causal":
        yield from _end(ids, labels, tokens, rules, full)
        if _is_shifted(ids, labels):
            yield "shifted_labels"
        if rules.answers_only:
            yield from _prompt(ids, labels, tokens)
    elif full and kind != "masked":  # masked words are learned on texts cut to pieces
        yield "truncated_rows"
    last = next((label for label in reversed(labels) if label != IGNORED), None)
    if kind == "sequence" and last is not None and last not in tokens.ends:
        yield "ends_missing"


def _prompt(ids: list[int], labels: list[int], tokens: SpecialTokens) -> Iterator[str]:
    first = next((at for at, token in enumerate(ids) if token not in tokens.special), None)
    if first is not None and labels[first] != IGNORED:
        yield "prompts_supervised"
    if any(labels[at] != IGNORED for at in _places(ids, tokens.opening)):
        yield "template_supervised"


def _end(
    ids: list[int], labels: list[int], tokens: SpecialTokens, rules: Rules, full: bool
) -> Iterator[str]:
    """Yield what is wrong with the end of a text.

    A text without any end and without a masked prompt may be a piece of a longer one, as in plain
    language modelling: nothing is wrong with it.
    """
    tail = range(len(ids) - 1, max(len(ids) - 1 - _TAIL, -1), -1)
    end = next((at for at in tail if ids[at] in tokens.ends), None)
    masked = rules.whole or rules.answers_only or any(label == IGNORED for label in labels[1:])
    if end is not None:
        if labels[end] == IGNORED and any(label != IGNORED for label in labels):
            yield "ends_missing"
    elif masked and full:
        yield "truncated_rows"
        yield "answers_cut"
    elif masked and labels and labels[-1] != IGNORED:
        yield "ends_missing"


def _is_shifted(ids: list[int], labels: list[int]) -> bool:
    pairs = [(labels[at], ids[at], ids[at + 1]) for at in range(len(ids) - 1)]
    seen = [pair for pair in pairs if pair[0] != IGNORED and pair[1] != pair[2]]
    return len(seen) > 1 and all(label == after for label, _, after in seen)


def _places(ids: list[int], wanted: tuple[int, ...]) -> list[int]:
    """Return the places that occurrences of `wanted` cover."""
    size = len(wanted)
    starts = [at for at in range(len(ids) - size + 1) if tuple(ids[at : at + size]) == wanted]
    return [at for start in starts for at in range(start, start + size)] if size else []
