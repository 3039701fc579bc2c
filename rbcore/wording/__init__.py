"""Verdicts and sentences: what tables of robustness bias and of distances show, in words."""

from rbcore.wording.names import listed, name_of_group, p_in_words
from rbcore.wording.statuses import accuracy_in_words, statuses_in_words
from rbcore.wording.verdicts import (
    LESS_ROBUST,
    LEVEL,
    MORE_ROBUST,
    NEVER_TRAINED,
    NO_DIFFERENCE,
    TOO_FEW,
    UNDEFINED,
    caution_of,
    fallback_warning,
    is_untrained,
    least_robust,
    size_in_words,
    too_few_but_lower,
    verdict,
    verdict_phrases,
    verdicts,
)

__all__ = [
    "LESS_ROBUST",
    "LEVEL",
    "MORE_ROBUST",
    "NEVER_TRAINED",
    "NO_DIFFERENCE",
    "TOO_FEW",
    "UNDEFINED",
    "accuracy_in_words",
    "caution_of",
    "fallback_warning",
    "is_untrained",
    "least_robust",
    "listed",
    "name_of_group",
    "p_in_words",
    "size_in_words",
    "statuses_in_words",
    "too_few_but_lower",
    "verdict",
    "verdict_phrases",
    "verdicts",
]
