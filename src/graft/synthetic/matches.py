"""Nurses and hospitals: who fits whom is decided by what the texts mean, not by their words.

A nurse writes a bio, a hospital a note; a form adds a few numbers. They fit unless something
stands between them: another kind of nursing, a duty that the nurse refuses and the hospital asks
for, a licence, a distance, a rate. The phrases of the test rows occur in no training row.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from graft.core.errors import InputError, Problem
from graft.core.files import write_text
from graft.core.seeds import generator
from graft.synthetic.matches_cares import CARES, Care
from graft.synthetic.matches_phrases import (
    ACCEPTED,
    ASKED,
    CHEERFUL,
    DUTIES,
    REFUSED,
    SPARED,
    WEARY,
    Phrases,
)

# Shares of the records; TRUTH.md tells them, and tests measure them.
REFUSING, ASKING = 0.50, 0.85
OTHER_FAMILY, OTHER_CARE = 0.05, 0.05
NO_LICENCE, TOO_FAR, TOO_DEAR = 0.06, 0.05, 0.05
STALE_FORM = 0.5
FARTHEST_KM, LARGEST_GAP = 90.0, 4.0
AGENCIES = {"Albatross": 0.35, "Bluebell": 0.30, "Cormorant": 0.25, "Dogwood": 0.10}
NOISE, NOISY_AGENCY, NOISE_THERE = 0.02, "Dogwood", 0.15
ROWS_PER_HOSPITAL = 20

TRUTH = """\
# The truth behind the nurse and hospital records

A nurse writes a bio, a hospital a note, and a form adds the rest. **match = 1 unless something
stands between the two:**

| what stands between | where it can be read | share of the records |
|---|---|---|
| a duty that the nurse refuses and the hospital asks for | both texts | {duty:.1%} |
| another kind of nursing, of another family | texts; `specialty` is not `unit` | {family:.0%} |
| another kind of nursing of the same family | both texts, nowhere else | {care:.0%} |
| no licence for the state | `licence_state_matches` | {licence:.0%} |
| farther than {km:.0f} km | `distance_km` | {far:.0%} |
| wants over {gap:.0f} an hour more than is offered | the two rates | {dear:.0%} |

The duties are {duties}. Both texts of a record speak of the same one. {refusing:.0%} of the nurses
refuse it, {asking:.0%} of the hospitals ask for it. Refusing alone is no conflict: a nurse who
hates night shifts fits a unit that has none.

Then the label of {noise:.0%} of the records is turned round; at the agency {agency}, which has
{share:.0%} of the records, that of {there:.0%}. So the best accuracy that anything can reach is
**{best:.1%}**.

What misleads:

- The same words stand on both sides: "there is no night duty", "I am not afraid of night duty".
  Hospitals name a ward ("NICU"), nurses tell of the work ("newborns in intensive care").
- The test rows say everything in other phrases than the training rows: the words for the duty,
  the frames around them, the kinds of nursing. Single words such as "tired" return, others do not
  ("dread" becomes "detest"), so a list of words learned on the training rows carries over in part.
  Rows for validation come from the training rows; what is measured there is too good.
- `shift_wanted` and `shift_offered` are forms of last year. Where the duty is nights, half of them
  say what the text says; all others say anything. `years_experience` says nothing.

No hospital has records in train and test, so no group stands on two sides.
"""


def match_records(
    seed: int, train: int = 1800, test: int = 600
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the training and test records; no phrase and no hospital is in both.

    Args:
        seed: Seed of every draw.
        train: Training records, at least 20.
        test: Test records, at least 20.

    Returns:
        Two frames with `nurse_bio`, `hospital_note`, the columns of the form, `agency`,
        `hospital_id` and `match` (0 or 1).

    Raises:
        InputError: Fewer than 20 records.

    Example:
        >>> train, test = match_records(seed=1, train=40, test=20)
        >>> len(train), len(test), sorted(set(train["match"]))
        (40, 20, [0, 1])
    """
    problems = [
        Problem(f"match_records, {name}", f"is {size}", "ask for 20 or more")
        for name, size in (("train", train), ("test", test))
        if size < 20
    ]
    if problems:
        raise InputError("synthetic data", problems)
    return _records(seed, "train", train), _records(seed, "test", test)


def write_matches(folder: Path, seed: int) -> tuple[Path, Path]:
    """Write `train.csv`, `test.csv` and `TRUTH.md` into `folder`; return the two data files.

    Args:
        folder: Folder to write into; made if missing.
        seed: Seed of the generator.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     [path.name for path in write_matches(Path(folder), seed=1)]
        ['train.csv', 'test.csv']
    """
    paths = (folder / "train.csv", folder / "test.csv")
    for path, frame in zip(paths, match_records(seed), strict=True):
        write_text(path, frame.to_csv(index=False, lineterminator="\n"))
    write_text(folder / "TRUTH.md", truth())
    return paths


def truth() -> str:
    """Return the rules of the generator as Markdown.

    Example:
        >>> "match = 1 unless something" in truth()
        True
    """
    return TRUTH.format(
        duties=", ".join(DUTIES), duty=REFUSING * ASKING,
        family=OTHER_FAMILY, care=OTHER_CARE, licence=NO_LICENCE, km=FARTHEST_KM, far=TOO_FAR,
        gap=LARGEST_GAP, dear=TOO_DEAR, refusing=REFUSING,
        asking=ASKING, noise=NOISE, agency=NOISY_AGENCY, share=AGENCIES[NOISY_AGENCY],
        there=NOISE_THERE, best=best_accuracy(),
    )  # fmt: skip


def best_accuracy() -> float:
    """Return the accuracy of a judge who knows the rule: what is left is noise.

    Example:
        >>> round(best_accuracy(), 3)
        0.967
    """
    noisy = AGENCIES[NOISY_AGENCY]
    return 1 - (1 - noisy) * NOISE - noisy * NOISE_THERE


def _records(seed: int, split: str, size: int) -> pd.DataFrame:
    rng = generator(seed, "matches", split)
    return pd.DataFrame([_record(split, size, rng) for _ in range(size)])


def _record(split: str, size: int, rng: np.random.Generator) -> dict[str, object]:
    nurse, hospital = _cares(rng)
    duty = str(rng.choice(list(DUTIES)))
    refuses, asks = bool(rng.random() < REFUSING), bool(rng.random() < ASKING)
    form, hindered = _form(rng)
    agency = str(rng.choice(list(AGENCIES), p=list(AGENCIES.values())))
    fits = nurse == hospital and not hindered and not (refuses and asks)
    noise = NOISE_THERE if agency == NOISY_AGENCY else NOISE
    nights = duty == "nights"
    said = [nurse.told, *((REFUSED, WEARY) if refuses else (ACCEPTED, CHEERFUL))]
    noted = [hospital.called, ASKED if asks else SPARED]
    return {
        "nurse_bio": _text(said, duty, split, rng),
        "hospital_note": _text(noted, duty, split, rng),
        "specialty": nurse.family,
        "unit": hospital.family,
        "shift_wanted": _shift(refuses if nights else None, "day", "any", rng),
        "shift_offered": _shift(asks if nights else None, "night", "day", rng),
        **form,
        "agency": agency,
        "hospital_id": f"{split}-{rng.integers(max(size // ROWS_PER_HOSPITAL, 1)):03d}",
        "match": int(fits != (rng.random() < noise)),
    }


def _cares(rng: np.random.Generator) -> tuple[Care, Care]:
    """Return what the nurse has done and what the hospital needs."""
    nurse = CARES[rng.integers(len(CARES))]
    chance = rng.random()
    if chance >= OTHER_FAMILY + OTHER_CARE:
        return nurse, nurse
    same_family = chance >= OTHER_FAMILY
    others = [c for c in CARES if c != nurse and (c.family == nurse.family) == same_family]
    return nurse, others[rng.integers(len(others))]


def _form(rng: np.random.Generator) -> tuple[dict[str, object], bool]:
    """Return the columns of the form, and whether one of them stands between the two."""
    no_licence, far, dear = (rng.random() < share for share in (NO_LICENCE, TOO_FAR, TOO_DEAR))
    near = rng.uniform(1, FARTHEST_KM)
    offered = rng.uniform(32, 58)
    gap = rng.uniform(LARGEST_GAP + 0.5, 14) if dear else rng.uniform(-10, LARGEST_GAP)
    columns: dict[str, object] = {
        "distance_km": round(float(rng.uniform(FARTHEST_KM + 1, 260) if far else near), 1),
        "licence_state_matches": "no" if no_licence else "yes",
        "years_experience": int(rng.integers(1, 31)),
        "hourly_rate_wanted": round(float(offered + gap), 2),
        "hourly_rate_offered": round(float(offered), 2),
    }
    return columns, bool(no_licence or far or dear)


def _shift(stated: bool | None, yes: str, no: str, rng: np.random.Generator) -> str:
    """Return the shift of an old form: what the text says, or anything."""
    if stated is None or rng.random() < STALE_FORM:
        stated = bool(rng.random() < 0.5)
    return yes if stated else no


def _text(parts: list[Phrases], duty: str, split: str, rng: np.random.Generator) -> str:
    about = str(rng.choice(DUTIES[duty].of(split)))
    sentences = [str(rng.choice(part.of(split))).format(about) for part in parts]
    if rng.random() < 0.5:
        sentences = [*sentences[1:], sentences[0]]
    return " ".join(f"{sentence[0].upper()}{sentence[1:]}." for sentence in sentences)
