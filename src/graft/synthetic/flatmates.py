"""The vocabulary of the flatmate pairs: what people speak about and how they put it.

An axis has two poles; topics of one pole fit each other, topics of opposite poles do not. Topics
are noun phrases that stand as the object of every phrase below.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Axis:
    """One question on which flatmates agree or clash.

    Args:
        name: Name of the question.
        category: Part of life that it belongs to.
        poles: Topics of the one side and of the other.
    """

    name: str
    category: str
    poles: tuple[tuple[str, ...], tuple[str, ...]]


def _axis(name: str, category: str, one: str, other: str) -> Axis:
    first, second = ([topic.strip() for topic in side.split(";")] for side in (one, other))
    return Axis(name, category, (tuple(first), tuple(second)))


AXES = (
    _axis(
        "hours",
        "lifestyle",
        "early mornings; sunrise jogs; breakfast at six; dawn yoga",
        "late nights; midnight films; sleeping until noon; dancing until four",
    ),
    _axis(
        "company",
        "lifestyle",
        "quiet evenings; reading in silence; solitary puzzles; a calm flat",
        "house parties; crowded game nights; noisy brunches; a flat full of guests",
    ),
    _axis(
        "outdoors",
        "interests",
        "mountain hikes; wild swimming; long bicycle tours; camping in the rain",
        "binge-watching series; video game marathons; days on the sofa; television dinners",
    ),
    _axis(
        "music",
        "interests",
        "string quartets; opera arias; piano recitals; baroque choirs",
        "heavy metal; techno raves; punk gigs; booming bass lines",
    ),
    _axis(
        "tidiness",
        "household",
        "a spotless kitchen; polished floors; neatly folded towels; cleaning rotas",
        "dirty dishes in the sink; clothes on the floor; messy tables; overflowing bins",
    ),
    _axis(
        "money",
        "values",
        "saving every penny; tight budgets; second-hand furniture; discount coupons",
        "designer gadgets; expensive restaurants; shopping sprees; luxury spa days",
    ),
)

LIKES = (
    "I love {}",
    "I adore {}",
    "I really enjoy {}",
    "I am happy with {}",
    "I am very fond of {}",
    "I am a big fan of {}",
    "I look forward to {}",
    "I am delighted by {}",
)
DISLIKES = (
    "I hate {}",
    "I detest {}",
    "I really dislike {}",
    "I am unhappy with {}",
    "I am very tired of {}",
    "I am annoyed by {}",
    "I run away from {}",
    "I am disgusted by {}",
)
DEALBREAKERS = (
    "I could never live with someone who loves {}",
    "I would move out over a flatmate who enjoys {}",
    "I refuse to live with a fan of {}",
    "I would never share a flat with {}",
)
MOMENTS = (
    "",
    " on weekdays",
    " at weekends",
    " all year round",
    " these days",
    " in a shared flat",
    " in summer",
    " in winter",
    " now and then",
    " as a rule",
)
