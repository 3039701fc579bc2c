"""What a case is, what it can come to, and what counts as a refusal."""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SAME, AGAIN, REFUSED = "same", "computed again", "refused"
WRONG, TRACEBACK, HANG, MEMORY, BROKEN = "wrong", "traceback", "hang", "over 1 GB", "broken case"
COLUMNS = (REFUSED, AGAIN, SAME, WRONG, TRACEBACK, HANG, MEMORY)
FAULTS = (WRONG, TRACEBACK, HANG, MEMORY, BROKEN)

DAMAGED, HOSTILE, KILLED, VALID = "damaged files", "hostile inputs", "kills", "odd but valid"
LONGEST = 1200
"""Letters of a refusal; a longer text is no sentence."""


class Refusal(Exception):
    """A refusal that reached us as text, as from the command line or a page."""


@dataclass(frozen=True)
class Outcome:
    """What a case came to, and what there is to say of it."""

    word: str
    note: str = ""


@dataclass(frozen=True)
class Case:
    """One thing to try.

    Attributes
    ----------
    family, kind
        Where it is counted in the report.
    name
        What was done, so that a fault can be found again.
    make
        Prepares files in the case's own folder; ``cache`` there is the cache. What it raises is a
        fault of the case.
    act
        Calls the library as a user would, and returns what came out.
    judge
        Says what that is: same, computed again, or wrong.
    names
        A refusal has to hold one of these texts; none where any sentence does.
    seconds
        Longer is a hang.
    """

    family: str
    kind: str
    name: str
    act: Callable[[Path], object]
    judge: Callable[[object], Outcome]
    make: Callable[[Path], None] = lambda folder: None
    names: tuple[str, ...] = ()
    seconds: float = 90.0


def same_as(expected: object) -> Callable[[object], Outcome]:
    """Return a judge that wants exactly this value."""

    def judge(found: object) -> Outcome:
        if found == expected:
            return Outcome(SAME)
        return Outcome(WRONG, f"{str(found)[:300]} instead of {str(expected)[:300]}")

    return judge


def must_refuse(found: object) -> Outcome:
    """Judge what came out of an input that has no right answer."""
    return Outcome(WRONG, f"accepted: {str(found)[:300]}")


def refusal(text: str, names: tuple[str, ...]) -> Outcome:
    """Judge a refusal: one line fit to be read, that names what it is about."""
    controls = [letter for letter in text if unicodedata.category(letter) in ("Cc", "Cs")]
    if not text.strip() or controls or len(text) > LONGEST:
        return Outcome(TRACEBACK, f"no sentence: {text[:400]!r}")
    if names and not any(name in text for name in names):
        return Outcome(TRACEBACK, f"names none of {names}: {text[:400]}")
    return Outcome(REFUSED, text)
