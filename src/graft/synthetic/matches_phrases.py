"""How nurses and hospitals speak of duties: one meaning, many ways to put it.

Every meaning has phrases of its own for the training rows and for the test rows: the frames
around a duty as well as the words for the duty itself. A phrase is a sentence without full stop.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Phrases:
    """Ways to say one thing: those of the training rows, and those of the test rows."""

    train: tuple[str, ...]
    test: tuple[str, ...]

    def of(self, split: str) -> tuple[str, ...]:
        """Return the phrases of a split: `train` or `test`."""
        return self.test if split == "test" else self.train


def phrases(train: str, test: str) -> Phrases:
    """Return the phrases of both splits, parted by semicolons."""
    one, other = ([part.strip() for part in side.split(";")] for side in (train, test))
    return Phrases(tuple(one), tuple(other))


# What a nurse may refuse and a hospital may ask for. Each stands as the object of every frame.
DUTIES = {
    "nights": phrases(
        "night shifts; the graveyard shift; overnight rotas; work after dark",
        "duty past midnight; twilight rotas; late hours",
    ),
    "working alone": phrases(
        "working alone; running a ward by oneself; deciding without a doctor; single-handed shifts",
        "unsupervised work; carrying a ward on one's own; having nobody to ask",
    ),
    "ventilators": phrases(
        "ventilators; intubated patients; breathing tubes; airway care",
        "mechanical lungs; respirators; invasive ventilation",
    ),
    "weekends": phrases(
        "weekend work; Sunday shifts; bank holidays; Saturday rotas",
        "duty on rest days; work at Christmas; Sundays on the ward",
    ),
    "moving about": phrases(
        "floating between wards; a new unit every day; changing teams; cover for other floors",
        "hopping from ward to ward; being sent to other units; unfamiliar floors",
    ),
    "heavy work": phrases(
        "lifting patients; turning heavy people; long hours on one's feet; pushing beds",
        "hoisting large patients; standing all day; physical strain",
    ),
}

REFUSED = phrases(
    "I hate {}; I dread {}; I am afraid of {}; I cannot cope with {}; I am tired of {}; I refuse "
    "{}; I am unhappy with {}; I am too anxious for {}; I can no longer stand {}; I have given up "
    "{}; I struggle with {}; I am not comfortable with {}; sadly my health rules out {}",
    "I am really tired of {}; I can no longer do {}; I struggle badly with {}; I detest {}; I am "
    "scared of {}; I am fed up with {}; I would be miserable with {}; I am nervous about {}; I "
    "will not accept {} any more",
)
ACCEPTED = phrases(
    "I love {}; I enjoy {}; I am happy with {}; I look forward to {}; I am good with {}; I am "
    "used to {}; I am calm about {}; I gladly take on {}; I am confident with {}; I thrive on "
    "{}; I do not mind {}; I have years of practice with {}; I am not afraid of {}",
    "I quite enjoy {}; I am always happy to take on {}; I am very good at {}; I adore {}; I am "
    "fond of {}; I relish {}; I feel relaxed about {}; I am experienced with {}; I have never "
    "been tired of {}",
)
ASKED = phrases(
    "the post demands {}; we need a nurse for {}; half of the job is {}; expect a lot of {}; you "
    "must be ready for {}; there is always {}; our rota depends on {}; we require {}",
    "the job demands plenty of {}; you must accept {}; we are desperate for help with {}; most "
    "weeks bring {}; the work calls for {}",
)
SPARED = phrases(
    "there is no {}; the post is free of {}; you will never face {}; we do without {}; nobody "
    "needs {} here; we have no need for {}; another team handles {}; we do not expect {}",
    "there is never any {}; the job comes without {}; you need not worry about {}; others take "
    "care of {}; you are spared {}",
)
# A second sentence of the nurse, which says the same in words of feeling.
WEARY = phrases(
    "it exhausts me; it makes me ill; never again; it was a bad time for me; it frightens me; I "
    "went home in tears; it hurts; I suffered from it; it ruined my sleep; it is a burden",
    "it is a nightmare for me; my back hurts and aches; it wears me out; I was sick and in "
    "tears; I felt awful; a bad time which exhausts body and mind; it scares me to death",
)
CHEERFUL = phrases(
    "it suits me; I am at my best then; it is a joy; I feel strong; it keeps me young; that is "
    "what I became a nurse for; it comes easily to me; time flies; it is my pride; I feel safe",
    "it makes me happy; I feel at my best; it is a pleasure for me; joy and pride in one; it gives "
    "me energy; it keeps me strong; it is great fun",
)
