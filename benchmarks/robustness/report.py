"""The table of a trial: one row a kind, one column for what its cases came to."""

from collections import Counter
from collections.abc import Iterable

from benchmarks.robustness.cases import (
    COLUMNS,
    DAMAGED,
    FAULTS,
    HOSTILE,
    KILLED,
    REFUSED,
    VALID,
    WRONG,
)
from benchmarks.robustness.runner import Finding

FAMILIES = (DAMAGED, HOSTILE, KILLED, VALID)


def is_fault(finding: Finding) -> bool:
    """Return whether a case came to what must not be."""
    word = finding.outcome.word
    return word in FAULTS or (finding.case.family == VALID and word == REFUSED)


def counts(findings: Iterable[Finding]) -> dict[tuple[str, str], Counter[str]]:
    """Return how often each word was found, by family and kind, in the order of the families."""
    table: dict[tuple[str, str], Counter[str]] = {}
    for finding in sorted(
        findings, key=lambda found: (FAMILIES.index(found.case.family), found.case.kind)
    ):
        table.setdefault((finding.case.family, finding.case.kind), Counter())[
            finding.outcome.word
        ] += 1
    return table


def as_markdown(findings: list[Finding]) -> str:
    """Return the table as Markdown, with a sum of every family."""
    lines = ["| | kind | tried | " + " | ".join(_bold(name) for name in COLUMNS) + " |"]
    lines.append("|---" * (len(COLUMNS) + 3) + "|")
    table = counts(findings)
    for family in FAMILIES:
        rows = {kind: found for (of, kind), found in table.items() if of == family}
        for kind, found in rows.items():
            lines.append(_row(family, kind, found))
        if rows:
            lines.append(_row(family, "all", sum(rows.values(), Counter())))
    return "\n".join(lines)


def as_text(findings: list[Finding]) -> str:
    """Return one line a kind for the terminal."""
    lines = []
    for (family, kind), found in counts(findings).items():
        words = ", ".join(f"{word} {n}" for word, n in found.items())
        lines.append(f"{family}: {kind}: {found.total()} tried; {words}")
    return "\n".join(lines)


def _bold(name: str) -> str:
    return f"**{name}**" if name == WRONG else name


def _row(family: str, kind: str, found: Counter[str]) -> str:
    return (
        f"| {family} | {kind} | {found.total():,} | "
        + " | ".join(f"{found[name]:,}" for name in COLUMNS)
        + " |"
    )
