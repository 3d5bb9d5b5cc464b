"""Flatmate pairs whose surface misleads: the ones that clash share nearly all their words.

Every text takes a stance (for or against) on a topic, and every topic stands on one of the two
poles of an axis. The label is 1 exactly when stance and pole of the two texts agree. An untouched
sentence encoder sees shared words first, so it ranks the pairs backwards.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from graft.core.errors import InputError, Problem
from graft.core.files import write_text
from graft.core.seeds import generator
from graft.synthetic.flatmates import AXES, DEALBREAKERS, DISLIKES, LIKES, MOMENTS, Axis

COLUMNS = ("text_1", "text_2", "label", "category", "pair_type")


@dataclass(frozen=True)
class Kind:
    """One way in which two statements relate.

    Args:
        label: 1 if they fit, 0 if they clash.
        share: Share of the pairs of that label; the shares of a label sum to 1.
        stances: Stance of the two statements: 1 for, -1 against.
        same_topic: True if both speak of the same topic.
        dealbreaker: True if the second statement is about the flatmate, not about the thing.
    """

    label: int
    share: float
    stances: tuple[int, int]
    same_topic: bool
    dealbreaker: bool = False


# Within each label half of the statements are for and half against, and one in ten is a
# dealbreaker, so that one statement alone says nothing about the label.
KINDS: dict[str, Kind] = {
    "compatible": Kind(1, 0.30, (1, 1), same_topic=False),
    "shared_dislike": Kind(1, 0.20, (-1, -1), same_topic=False),
    "paraphrase": Kind(1, 0.20, (1, 1), same_topic=True),
    "shared_gripe": Kind(1, 0.10, (-1, -1), same_topic=True),
    "shared_dealbreaker": Kind(1, 0.20, (-1, -1), same_topic=False, dealbreaker=True),
    "incompatible": Kind(0, 0.50, (1, -1), same_topic=True),
    "dealbreaker": Kind(0, 0.20, (1, -1), same_topic=True, dealbreaker=True),
    "subtle_mismatch": Kind(0, 0.15, (1, 1), same_topic=False),
    "subtle_dislike": Kind(0, 0.15, (-1, -1), same_topic=False),
}

TRUTH = """\
# The truth behind the flatmate pairs

Two people who may share a flat say one sentence each. Every sentence takes a stance, for (+1) or
against (-1), on one topic. Topics stand in two opposite poles (+1 and -1) of an axis such as
`hours` (early mornings against late nights). Both sentences of a pair are about the same axis.

**label = 1 if both sentences take the same stance on topics of the same pole, else 0.**
A pair that clashes does so in one way only: opposite stances on one topic, or one stance on
topics of opposite poles.

| pair_type | label | share of the label | rule |
|---|---|---|---|
{rows}

`category` is the part of life of the axis, or `dealbreakers` where a sentence is about the
flatmate and not about the thing.

Made so that likeness of the surface misleads: `incompatible` and `dealbreaker` pairs repeat the
topic and the moment and mirror the phrase, while pairs that fit mostly use other words.
`paraphrase`, `shared_gripe` and the `subtle_*` kinds keep the opposite rule ("few shared words
fit") from being the answer. One sentence alone says nothing about the label: within each label
half of the sentences are for, half against, and one in ten is a dealbreaker.

No sentence (the speaker's letter aside) occurs twice in train and test together, so no pair and
no text of the test split stands in the training split. Topics and phrases do occur in both: that
is what there is to learn.
"""


def compatibility_pairs(
    seed: int, train: int = 1200, test: int = 300
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the training and test pairs, labels balanced, no sentence used twice.

    Args:
        seed: Seed of every draw.
        train: Training pairs, at least 2.
        test: Test pairs, at least 2.

    Returns:
        Two frames with the columns `text_1`, `text_2`, `label` (0 or 1), `category`, `pair_type`.

    Raises:
        InputError: Sizes below 2, or more pairs than the vocabulary has fresh sentences for.

    Example:
        >>> train, test = compatibility_pairs(seed=1, train=40, test=10)
        >>> len(train), len(test), int(train["label"].sum())
        (40, 10, 20)
    """
    for name, size in (("train", train), ("test", test)):
        if size < 2:
            problem = Problem(f"compatibility_pairs, {name}", f"is {size}", "ask for 2 or more")
            raise InputError("synthetic data", [problem])
    used: set[str] = set()
    frames = []
    for split, size in (("train", train), ("test", test)):
        rng = generator(seed, "compatibility", split)
        names = [name for name, count in _counts(size).items() for _ in range(count)]
        rows = [_fresh_pair(names[i], used, rng) for i in rng.permutation(size)]
        frames.append(pd.DataFrame(rows, columns=list(COLUMNS)))
    return frames[0], frames[1]


def write_compatibility(folder: Path, seed: int) -> tuple[Path, Path]:
    """Write `train.jsonl`, `test.jsonl` and `TRUTH.md` into `folder`; return the two data files.

    Args:
        folder: Folder to write into; made if missing.
        seed: Seed of the generator.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     [path.name for path in write_compatibility(Path(folder), seed=1)]
        ['train.jsonl', 'test.jsonl']
    """
    paths = (folder / "train.jsonl", folder / "test.jsonl")
    for path, frame in zip(paths, compatibility_pairs(seed), strict=True):
        lines = (json.dumps(row, ensure_ascii=False) for row in frame.to_dict("records"))
        write_text(path, "".join(f"{line}\n" for line in lines))
    write_text(folder / "TRUTH.md", truth())
    return paths


def truth() -> str:
    """Return the rules of the generator as Markdown.

    Example:
        >>> "label = 1 if both sentences take the same stance" in truth()
        True
    """
    rows = [f"| {name} | {k.label} | {k.share:.0%} | {_rule(k)} |" for name, k in KINDS.items()]
    return TRUTH.format(rows="\n".join(rows))


def _rule(kind: Kind) -> str:
    stances = {(1, 1): "both for", (-1, -1): "both against", (1, -1): "one for, one against"}
    topic = "two topics of the same pole" if kind.label else "topics of opposite poles"
    rule = f"{stances[kind.stances]}, {'the same topic' if kind.same_topic else topic}"
    return f"{rule}; one is a dealbreaker" if kind.dealbreaker else rule


def _counts(size: int) -> dict[str, int]:
    """Return pairs per kind: labels halved, shares met to within one pair."""
    counts: dict[str, int] = {}
    for label, total in ((1, size // 2), (0, size - size // 2)):
        kinds = {name: kind.share * total for name, kind in KINDS.items() if kind.label == label}
        counts |= {name: int(share) for name, share in kinds.items()}
        missing = total - sum(counts[name] for name in kinds)
        for name in sorted(kinds, key=lambda name: counts[name] - kinds[name])[:missing]:
            counts[name] += 1
    return counts


def _fresh_pair(name: str, used: set[str], rng: np.random.Generator) -> tuple[object, ...]:
    kind = KINDS[name]
    for _ in range(1000):
        axis = AXES[rng.integers(len(AXES))]
        texts = _statements(kind, _topics(kind, axis, rng), rng)
        if texts[0] != texts[1] and used.isdisjoint(texts):
            used.update(texts)
            first, second = rng.permutation(2)
            category = "dealbreakers" if kind.dealbreaker else axis.category
            return f"A: {texts[first]}", f"B: {texts[second]}", kind.label, category, name
    fix = "ask for fewer pairs"
    problem = Problem("compatibility_pairs", f"no fresh '{name}' pair after {len(used)}", fix)
    raise InputError("synthetic data", [problem])


def _topics(kind: Kind, axis: Axis, rng: np.random.Generator) -> tuple[str, str]:
    """Return one topic twice, or two: of one pole if the kind fits, of both if it clashes."""
    pole = int(rng.integers(2))
    if kind.same_topic:
        topic = axis.poles[pole][rng.integers(len(axis.poles[pole]))]
        return topic, topic
    if kind.label:
        one, two = rng.choice(len(axis.poles[pole]), size=2, replace=False)
        return axis.poles[pole][one], axis.poles[pole][two]
    other = axis.poles[1 - pole]
    return axis.poles[pole][rng.integers(len(axis.poles[pole]))], other[rng.integers(len(other))]


def _statements(kind: Kind, topics: tuple[str, str], rng: np.random.Generator) -> tuple[str, str]:
    phrases = rng.choice(len(LIKES), size=2, replace=False)
    moments = rng.integers(len(MOMENTS), size=2)
    # A clash over one topic repeats the moment and mirrors the phrase: that is what misleads.
    if kind.same_topic and not kind.label:
        phrases[1], moments[1] = phrases[0], moments[0]
    elif kind.same_topic and rng.random() < 0.5:
        moments[1] = moments[0]
    pools: list[tuple[str, ...]] = [LIKES if s > 0 else DISLIKES for s in kind.stances]
    if kind.dealbreaker:
        pools[1] = DEALBREAKERS
    one, two = [
        pool[phrase % len(pool)].format(topic) + MOMENTS[moment]
        for pool, topic, phrase, moment in zip(pools, topics, phrases, moments, strict=True)
    ]
    return one, two
