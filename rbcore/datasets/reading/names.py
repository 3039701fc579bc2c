"""When two names are one: a person cannot tell them apart, whatever their bytes."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping

MISSING = frozenset(
    {"", "nan", "none", "n/a", "na", "null", "?", "-", "unknown", "n.a.", "#n/a", "<na>"}
)
"""What stands for no value, in lower case: what people and programs write into a cell that
they cannot fill.
"""
LONGEST = 200
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff]"
)
_JOINERS = re.compile("[\u200c\u200d\ufe00-\ufe0f]")
"""They shape letters of Persian and Hindi, and emoji, so they are shown; yet two names that differ
in nothing else are one.
"""
_SPACES = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")


def is_nameable(text: str) -> bool:
    """Return whether text can name a group: it is short and can be written."""
    if len(text) > LONGEST:
        return False
    return text.isprintable() or not any(
        unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in text
    )


def cleaned(text: str) -> str:
    """Return a name in NFC, without invisible characters, trimmed, every space a plain one."""
    if text.isascii():
        return text.strip()
    return unicodedata.normalize("NFC", _SPACES.sub(" ", _INVISIBLE.sub("", text))).strip()


def is_missing(text: str) -> bool:
    """Return whether a cell holds no value, or a word for none in upper or lower case."""
    return cleaned(text).lower() in MISSING


def joined_names(names: Iterable[str], *, is_case_joined: bool) -> dict[str, str]:
    """Return for each spelling the one that is shown for this name: the most frequent.

    Parameters
    ----------
    names
        Every occurrence.
    is_case_joined
        Whether spellings that differ in upper and lower case are one name too.
    """
    counts = Counter(names)
    families: dict[str, list[str]] = {}
    for spelling in counts:
        families.setdefault(_key(spelling, is_case_joined), []).append(spelling)
    shown: dict[str, str] = {}
    for family in families.values():
        weights: Counter[str] = Counter()
        for spelling in family:
            weights[cleaned(spelling)] += counts[spelling]
        best = min(weights, key=lambda name: (-weights[name], len(name), name))
        shown |= dict.fromkeys(family, best)
    return shown


def _key(spelling: str, is_case_joined: bool) -> str:
    bare = _JOINERS.sub("", cleaned(spelling))
    return unicodedata.normalize("NFC", bare.casefold()) if is_case_joined else bare


def respelled(shown: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the names that several spellings were joined to, with the others."""
    families: dict[str, list[str]] = {}
    for spelling, name in shown.items():
        families.setdefault(name, []).append(spelling)
    return {
        name: sorted(
            ascii(spelling) if cleaned(spelling) == name else repr(spelling)
            for spelling in family
            if spelling != name
        )
        for name, family in families.items()
        if len(family) > 1
    }


def differing_in_case(names: Iterable[str]) -> list[list[str]]:
    """Return the names that differ in upper and lower case only, those alike together."""
    families: dict[str, list[str]] = {}
    for name in sorted(set(names)):
        families.setdefault(_key(name, True), []).append(name)
    return [family for family in families.values() if len(family) > 1]
