"""Run cases in forked workers with limits on time and memory, and say what each came to."""

import json
import os
import resource
import shutil
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.robustness.cases import (
    BROKEN,
    HANG,
    MEMORY,
    TRACEBACK,
    Case,
    Outcome,
    Refusal,
    refusal,
)
from rbcore.errors import RobustnessBiasError

GIGABYTE = 2**30
GUARD = 6 * GIGABYTE
"""Address space that a case may add; what it really takes is measured, and more than
1 GB is a fault.
"""
RESULT = "result.json"


@dataclass(frozen=True)
class Finding:
    """A case and what it came to, with the seconds and the bytes that it took."""

    case: Case
    outcome: Outcome
    seconds: float
    n_bytes: int


@dataclass(frozen=True)
class Worker:
    """A forked process at work on a case."""

    case: Case
    folder: Path
    started: float


def run_cases(
    cases: list[Case], work: Path, jobs: int, report: Callable[[Finding], None]
) -> list[Finding]:
    """Try every case, ``jobs`` of them at a time, and return what each came to."""
    findings: list[Finding] = []
    workers: dict[int, Worker] = {}
    waiting = iter(enumerate(cases))
    is_more = True
    while is_more or workers:
        while is_more and len(workers) < jobs:
            number, case = next(waiting, (0, None))
            if case is None:
                is_more = False
            else:
                folder = work / f"{number:05d}"
                pid = start(partial(_try, case, folder), folder)
                workers[pid] = Worker(case, folder, time.monotonic())
        for pid, (status, used) in _ended(workers):
            worker = workers.pop(pid)
            findings.append(_finding(worker, status, used))
            report(findings[-1])
            shutil.rmtree(worker.folder, ignore_errors=True)
        time.sleep(0.002)
    return findings


def start(work: Callable[[], None], folder: Path) -> int:
    """Fork a process that calls ``work``, its output in ``output.txt``, and return its id."""
    folder.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    try:
        output = os.open(folder / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.setsid()
        os.environ["RBCORE_CACHE"] = str(folder / "cache")
        warnings.simplefilter("ignore")
        work()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _ended(
    workers: dict[int, Worker],
) -> Iterator[tuple[int, tuple[int | None, resource.struct_rusage]]]:
    """Yield each worker that has ended, or is ended here because its time is up (status None)."""
    for pid, worker in list(workers.items()):
        found, status, used = os.wait4(pid, os.WNOHANG)
        if found:
            yield pid, (os.waitstatus_to_exitcode(status), used)
        elif time.monotonic() - worker.started > worker.case.seconds:
            os.killpg(pid, signal.SIGKILL)
            _, _, used = os.wait4(pid, 0)
            yield pid, (None, used)


def _finding(worker: Worker, status: int | None, used: resource.struct_rusage) -> Finding:
    seconds = time.monotonic() - worker.started
    peak = used.ru_maxrss * 1024
    path = worker.folder / RESULT
    facts = json.loads(path.read_text()) if path.exists() else {}
    n_bytes = max(0, peak - facts.get("baseline", peak))
    if status is None:
        outcome = Outcome(HANG, f"more than {worker.case.seconds:g} s")
    elif n_bytes > GIGABYTE:
        outcome = Outcome(MEMORY, f"{n_bytes / 1e9:.1f} GB; {facts.get('note', '')}")
    elif "word" not in facts:
        said = (worker.folder / "output.txt").read_text(errors="replace").strip()[-400:]
        outcome = Outcome(TRACEBACK, f"the process ended with {status}: {said}")
    else:
        outcome = Outcome(facts["word"], facts["note"])
    return Finding(worker.case, outcome, seconds, n_bytes)


def _try(case: Case, folder: Path) -> None:
    """Make a case, act, judge, and write down what it came to."""
    try:
        case.make(folder)
    except Exception:
        _write(folder, 0, Outcome(BROKEN, traceback.format_exc()[-600:]))
        return
    baseline = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    _write(folder, baseline, None)
    limit = _address_space() + GUARD
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    try:
        found = case.act(folder)
    except (RobustnessBiasError, Refusal) as error:
        outcome = refusal(str(error), case.names)
    except BaseException as error:
        where = [
            line.strip()
            for line in traceback.format_exc().splitlines()
            if "/rbcore/" in line or "/pages/" in line
        ]
        outcome = Outcome(
            TRACEBACK, f"{type(error).__name__}: {str(error)[:200]} | {' '.join(where[-1:])}"
        )
    else:
        try:
            outcome = case.judge(found)
        except Exception:
            outcome = Outcome(BROKEN, traceback.format_exc()[-600:])
    _write(folder, baseline, outcome)


def _write(folder: Path, baseline: int, outcome: Outcome | None) -> None:
    facts: dict[str, object] = {"baseline": baseline}
    if outcome is not None:
        facts |= {"word": outcome.word, "note": outcome.note}
    (folder / RESULT).write_text(json.dumps(facts))


def _address_space() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()
