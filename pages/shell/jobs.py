"""Long work beside the pages: one worker, one job a key, progress that a page polls, cancel, and another try."""

import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import streamlit as st

from pages.shell import read_only
from pages.shell.text import plain
from rbcore.errors import Cancelled, RobustnessBiasError
from rbcore.runtime import Cancel, Progress, stop_if

Work = Callable[[Progress, Cancel], str]
"""Does the job and returns a sentence on what came out."""

QUEUED, RUNNING, DONE, FAILED, CANCELLED = "queued", "running", "done", "failed", "cancelled"
MOST_ENDED = 20
"""Ended jobs that are remembered."""
KEPT = (
    "What was finished is kept; start it again, and if it stops again, the server's log "
    "holds the details."
)


@dataclass
class Job:
    """One piece of work and how far it is."""

    key: str
    title: str
    work: Work
    state: str = QUEUED
    done: int = 0
    total: int = 0
    what: str = "waiting for its turn"
    message: str = ""
    cancelled: threading.Event = field(default_factory=threading.Event)
    _pace: tuple[int, float] = (0, 0.0)
    """Where the stage in hand began: units done by then, and the time."""

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
        """A guess from the pace of the stage in hand, or None before there is one."""
        start, since = self._pace
        fresh = self.done - start
        if self.state != RUNNING or fresh <= 0.02 * self.total:
            return None
        return (time.monotonic() - since) * max(0, self.total - self.done) / fresh

    def end(self, state: str, message: str) -> None:
        """Say how it ended; the state comes last, because a page that sees it shows the message."""
        self.message = message
        self.state = state

    def report(self, done: int, total: int, what: str) -> None:
        """Take progress from the worker's thread.

        Stop it there if it was asked to, also where no cancel is passed on.
        """
        stop_if(self.cancelled.is_set)
        # A job that goes on from where it was stopped begins in the middle, and a stage that
        # follows another counts anew.
        if total != self.total or done < self.done:
            self._pace = (done, time.monotonic())
        self.done, self.total, self.what = done, total, what


class Runner:
    """The server's one worker and the jobs it was given, in the order in which they run."""

    def __init__(self) -> None:
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="rbcore-job")
        self._lock = threading.Lock()
        self.jobs: dict[str, Job] = {}

    def submit(self, key: str, title: str, work: Work) -> Job:
        """Queue the work, or return the job of that key if it still waits or runs.

        Raises
        ------
        RobustnessBiasError
            If this server only shows.
        """
        read_only.refuse_if_read_only()
        with self._lock:
            job = self.jobs.get(key)
            if job is None or not job.is_active:
                self.jobs.pop(key, None)
                for old in self.ended()[MOST_ENDED - 1 :]:
                    self.jobs.pop(old.key)
                job = self.jobs[key] = Job(key, title, work)
                self._worker.submit(_run, job)
        return job

    def cancel(self, job: Job) -> None:
        """Ask a job to stop; it does so before its next step and keeps what it finished."""
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
    state, message = FAILED, f"It stopped without a word. {KEPT}"
    try:
        state, message = DONE, job.work(job.report, job.cancelled.is_set)
    except Cancelled as error:
        state, message = CANCELLED, str(error)
    except RobustnessBiasError as error:
        message = str(error)
    except MemoryError:
        traceback.print_exc()
        message = f"This machine's memory did not suffice. {KEPT}"
    except (
        BaseException
    ) as error:  # the page must learn of it, also of SystemExit: a thread's end reaches nobody
        traceback.print_exc()
        message = f"It stopped with an unexpected error ({type(error).__name__}: {error}). {KEPT}"
    finally:
        job.end(state, message)


_RUNNER = Runner()


def runner() -> Runner:
    """Return the server's runner, shared by all its visitors.

    Any of them can clear Streamlit's caches, so it is in none.
    """
    return _RUNNER


def show_job(job: Job) -> None:
    """Draw one job: its title and how far it is, or how it ended, with a button to cancel it or to start it again."""
    title = f"**{plain(job.title)}**"
    if job.is_active:
        bar, button = st.columns([5, 1], vertical_alignment="center")
        bar.progress(job.share, text=f"{title}: {plain(_progress_of(job))}")
        if button.button(
            "Cancel", key=f"cancel-{job.key}", width="stretch", disabled=job.cancelled.is_set()
        ):
            runner().cancel(job)
        return
    if job.state == DONE:
        st.success(
            f"{title}: " + "\n\n".join(plain(line) for line in job.message.splitlines() if line)
        )
        return
    text, button = st.columns([5, 1], vertical_alignment="center")
    tell = text.error if job.state == FAILED else text.warning
    tell(f"{title}: {plain(job.message)}")
    if not read_only.is_read_only():
        button.button(
            "Start again",
            key=f"again-{job.key}",
            width="stretch",
            help="It goes on from what it finished.",
            on_click=runner().submit,
            args=(job.key, job.title, job.work),
        )


def _progress_of(job: Job) -> str:
    if job.cancelled.is_set():
        return "stopping after the step in hand"
    if job.state == QUEUED:
        place = runner().place(job)
        return f"waiting, {place} before it" if place else job.what
    left = job.seconds_left
    counted = f" ({job.done:,} of {job.total:,})" if job.total else ""
    return f"{job.what}{counted}" + (f", about {in_words(left)} left" if left is not None else "")


def in_words(seconds: float) -> str:
    """Return a duration as people say it: 40 s, 3 min, 2 h 5 min."""
    if seconds < 90:
        return f"{max(1, seconds):.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60:,} h {minutes % 60} min"


def watch(keys: tuple[str, ...]) -> None:
    """Draw the jobs of these keys and follow them.

    Whenever one of them ends, the whole page is drawn anew once.
    """
    _follow(keys, tuple(key for key in keys if runner().is_active(key)))


@st.fragment(run_every="500ms")
def _follow(keys: tuple[str, ...], active: tuple[str, ...]) -> None:
    if not all(runner().is_active(key) for key in active):
        st.rerun()
    for key in keys:
        if (job := runner().jobs.get(key)) is not None:
            show_job(job)
