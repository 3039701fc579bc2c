"""Background jobs: one worker thread, one job a key, progress that a page polls, cancel, retry."""

import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import streamlit as st

from pages.shell import read_only
from pages.shell.text import escape_markdown, format_duration
from rbcore.errors import Cancelled, RobustnessBiasError
from rbcore.runtime import Cancel, Progress, stop_if

JobFunction = Callable[[Progress, Cancel], str]
"""Does a job and returns a sentence on its result."""

QUEUED, RUNNING, DONE, FAILED, CANCELLED = "queued", "running", "done", "failed", "cancelled"
MOST_ENDED = 20
"""Ended jobs that are kept."""
KEPT = (
    "What was finished is kept, so you can start it again; if it fails again, the server's log "
    "has the details."
)


@dataclass
class Job:
    """A function that runs in the background, and its progress."""

    key: str
    title: str
    function: JobFunction
    state: str = QUEUED
    done: int = 0
    total: int = 0
    what: str = "queued"
    message: str = ""
    cancelled: threading.Event = field(default_factory=threading.Event)
    _pace: tuple[int, float] = (0, 0.0)
    """Where the current stage began: units done by then, and the time."""

    @property
    def is_active(self) -> bool:
        """Whether it waits or runs."""
        return self.state in (QUEUED, RUNNING)

    @property
    def share(self) -> float:
        """How much is done, in [0, 1]."""
        return min(1.0, self.done / self.total) if self.total else 0.0

    @property
    def seconds_left(self) -> float | None:
        """An estimate from the pace of the current stage, or None before there is one."""
        start, since = self._pace
        fresh = self.done - start
        if self.state != RUNNING or fresh <= 0.02 * self.total:
            return None
        return (time.monotonic() - since) * max(0, self.total - self.done) / fresh

    def end(self, state: str, message: str) -> None:
        """Record how it ended; the state last, because a page that sees it shows the message."""
        self.message = message
        self.state = state

    def report(self, done: int, total: int, what: str) -> None:
        """Take progress from the worker's thread, and stop there if the job was cancelled."""
        stop_if(self.cancelled.is_set)
        # A resumed job begins in the middle, and each stage counts anew.
        if total != self.total or done < self.done:
            self._pace = (done, time.monotonic())
        self.done, self.total, self.what = done, total, what


class Runner:
    """The server's one worker thread and its jobs, in the order in which they run."""

    def __init__(self) -> None:
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="rbcore-job")
        self._lock = threading.Lock()
        self.jobs: dict[str, Job] = {}

    def submit(self, key: str, title: str, function: JobFunction) -> Job:
        """Queue a job, or return the one of that key if it still waits or runs.

        Raises
        ------
        RobustnessBiasError
            If this server is read-only.
        """
        read_only.refuse_if_read_only()
        with self._lock:
            job = self.jobs.get(key)
            if job is None or not job.is_active:
                self.jobs.pop(key, None)
                for old in self.ended()[MOST_ENDED - 1 :]:
                    self.jobs.pop(old.key)
                job = self.jobs[key] = Job(key, title, function)
                self._worker.submit(_run, job)
        return job

    def cancel(self, job: Job) -> None:
        """Ask a job to stop before its next step; what it finished is kept."""
        job.cancelled.set()
        if job.state == QUEUED:
            job.end(CANCELLED, "cancelled before it started.")

    def active(self) -> list[Job]:
        """Return the jobs that wait or run, in their order."""
        return [job for job in list(self.jobs.values()) if job.is_active]

    def ended(self) -> list[Job]:
        """Return the jobs that ended, the newest first."""
        return [job for job in reversed(list(self.jobs.values())) if not job.is_active]

    def is_active(self, key: str) -> bool:
        """Whether the job of that key waits or runs."""
        job = self.jobs.get(key)
        return job is not None and job.is_active

    def place(self, job: Job) -> int:
        """Return how many jobs come before this one."""
        active = self.active()
        return active.index(job) if job in active else 0


def _run(job: Job) -> None:
    if job.cancelled.is_set():
        return
    job.state, job.what = RUNNING, "starting"
    state, message = FAILED, f"It stopped without a message. {KEPT}"
    try:
        state, message = DONE, job.function(job.report, job.cancelled.is_set)
    except Cancelled as error:
        state, message = CANCELLED, str(error)
    except RobustnessBiasError as error:
        message = str(error)
    except MemoryError:
        traceback.print_exc()
        message = f"This machine ran out of memory. {KEPT}"
    except BaseException as error:
        # The page must learn of it, of SystemExit too: nobody sees a thread end.
        traceback.print_exc()
        message = f"It stopped with an unexpected error ({type(error).__name__}: {error}). {KEPT}"
    finally:
        job.end(state, message)


_RUNNER = Runner()


def runner() -> Runner:
    """Return the server's runner, shared by all its visitors.

    It is not in Streamlit's caches, because any visitor can clear those.
    """
    return _RUNNER


def draw_job(job: Job) -> None:
    """Draw a job: its progress or how it ended, with a button to cancel it or to start it again."""
    title = f"**{escape_markdown(job.title)}**"
    if job.is_active:
        bar, button = st.columns([5, 1], vertical_alignment="center")
        bar.progress(job.share, text=f"{title}: {escape_markdown(_progress_of(job))}")
        if button.button(
            "Cancel", key=f"cancel-{job.key}", width="stretch", disabled=job.cancelled.is_set()
        ):
            runner().cancel(job)
        return
    if job.state == DONE:
        st.success(
            f"{title}: "
            + "\n\n".join(escape_markdown(line) for line in job.message.splitlines() if line)
        )
        return
    text, button = st.columns([5, 1], vertical_alignment="center")
    tell = text.error if job.state == FAILED else text.warning
    tell(f"{title}: {escape_markdown(job.message)}")
    if not read_only.is_read_only():
        button.button(
            "Start again",
            key=f"again-{job.key}",
            width="stretch",
            help="It continues from what it finished.",
            on_click=runner().submit,
            args=(job.key, job.title, job.function),
        )


def _progress_of(job: Job) -> str:
    if job.cancelled.is_set():
        return "stopping after the current step"
    if job.state == QUEUED:
        place = runner().place(job)
        ahead = "1 job" if place == 1 else f"{place} jobs"
        return f"queued, {ahead} before it" if place else job.what
    left = job.seconds_left
    counted = f" ({job.done:,} of {job.total:,})" if job.total else ""
    return f"{job.what}{counted}" + (
        f", about {format_duration(left)} left" if left is not None else ""
    )


def watch(keys: tuple[str, ...]) -> None:
    """Draw the jobs of these keys while they run; when one ends, run the whole page again."""
    _follow(keys, tuple(key for key in keys if runner().is_active(key)))


@st.fragment(run_every="500ms")
def _follow(keys: tuple[str, ...], active: tuple[str, ...]) -> None:
    if not all(runner().is_active(key) for key in active):
        st.rerun()
    for key in keys:
        if (job := runner().jobs.get(key)) is not None:
            draw_job(job)
