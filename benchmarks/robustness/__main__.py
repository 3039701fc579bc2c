"""Try what could make the explorer say a wrong number, break off, hang, or fill the memory.

    python -m benchmarks.robustness [--quick] [--seed 0] [--jobs 2] [--only TEXT]

Damaged files, hostile inputs, a kill at every step of writing, and odd but valid inputs, each in a
forked worker with limits on time and memory. Exits with 1 if a case came to what must not be;
writes robustness.md beside this folder where all were tried.
"""

import datetime
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: two workers share two cores

import streamlit.testing.v1  # noqa: F401  (imported here, so that no worker has to)
import torch
import typer

from benchmarks.robustness import kills, world
from benchmarks.robustness.families import all_cases, chosen
from benchmarks.robustness.report import as_markdown, as_text, is_fault
from benchmarks.robustness.runner import Finding, run_cases, start

REPORT = Path(__file__).parent.parent / "robustness.md"
QUICK = 4
"""Cases of a kind that are tried by ``--quick``."""


def main(
    quick: Annotated[
        bool, typer.Option("--quick", help=f"Only {QUICK} cases of a kind, in under a minute.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", help="Draws the damages and the inputs.")] = 0,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Cases at a time.")] = 2,
    only: Annotated[
        str, typer.Option("--only", help="Only cases whose kind or name holds this text.")
    ] = "",
) -> None:
    """Try everything, print and write the table, and exit with 1 if there was a fault."""
    started = time.monotonic()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="robustness-") as name:
        work = Path(name)
        built = start(lambda: _build(work / "world"), work / "world")
        _, status = os.waitpid(built, 0)
        if status:
            sys.exit(
                "The world of the cases could not be built:\n"
                f"{(work / 'world' / 'output.txt').read_text()}"
            )
        cases = all_cases(world.open_world(work / "world"), seed)
        cases = [case for case in cases if only in f"{case.family} {case.kind} {case.name}"]
        if quick:
            cases = chosen(cases, QUICK, seed)
        print(f"{len(cases):,} cases, {jobs} at a time", flush=True)
        findings = run_cases(cases, work, jobs, _tell)
    minutes = (time.monotonic() - started) / 60
    print(as_text(findings))
    print(
        f"{len(findings):,} cases in {minutes:.1f} minutes; {sum(map(is_fault, findings)):,} faults"
    )
    if not quick and not only:
        REPORT.write_text(_page(findings, minutes, seed, jobs), encoding="utf-8")
    sys.exit(1 if any(map(is_fault, findings)) else 0)


def _build(folder: Path) -> None:
    kills.start_counting()
    world.build(folder)
    world.add_facts(folder, kills.undisturbed(world.open_world(folder), folder / "undisturbed"))


def _tell(finding: Finding) -> None:
    if is_fault(finding) or os.environ.get("ROBUSTNESS_TELL_ALL"):
        case, outcome = finding.case, finding.outcome
        print(
            f"{outcome.word.upper()}: {case.kind}: {case.name}: {outcome.note} "
            f"[{finding.seconds:.1f} s]",
            flush=True,
        )


def _page(findings: list[Finding], minutes: float, seed: int, jobs: int) -> str:
    largest = max(finding.n_bytes for finding in findings)
    longest = max(finding.seconds for finding in findings)
    machine = (
        f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, "
        f"torch {torch.__version__}"
    )
    return f"""# What damaged files, hostile inputs, kills and odd but valid inputs come to

{datetime.datetime.now(datetime.UTC).date()}, `python -m benchmarks.robustness --seed {seed}`,
{machine}, {jobs} cases at a time,
{minutes:.0f} minutes; the longest case took {longest:.0f} s, the largest used
{largest / 1e6:,.0f} MB more than the process had at its start.

Every case runs in its own process. *Refused*: an error of ours, one sentence that names the file or
the value. *Computed again*: a damaged cache file was replaced by an identical result. *Same*: the
right numbers came out. **Wrong**: other numbers without any message. *Traceback*: any other
exception, or a refusal that is not a sentence. *Hang*: longer than
{max(f.case.seconds for f in findings):.0f} s.

{as_markdown(findings)}
"""


if __name__ == "__main__":
    typer.run(main)
