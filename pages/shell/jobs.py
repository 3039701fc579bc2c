"""Long work beside the pages: one worker, one job a key, progress that a page polls, and cancel."""

import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import streamlit as st

from pages.shell.text import plain
from rbcore.errors import Cancelled, RobustnessBiasError
from rbcore.running import Cancel, Progress, stop_if

Work = Callable[[Progress, Cancel], str]
"""Does the job and returns a sentence on what came out."""

QUEUED, RUNNING, DONE, FAILED, CANCELLED = "queued", "running", "done", "failed", "cancelled"


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
    started: float = 0.0
    cancelled: threading.Event = field(default_factory=threading.Event)

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
        """A guess from the pace so far, or None before there is one."""
        elapsed = time.monotonic() - self.started
        return elapsed * (1 - self.share) / self.share if self.state == RUNNING and self.share > 0.02 else None

    def report(self, done: int, total: int, what: str) -> None:
        """Take progress from the worker's thread; stop it there if it was asked to, also where no cancel is passed on."""
        stop_if(self.cancelled.is_set)
        self.done, self.total, self.what = done, total, what


class Runner:
    """The server's one worker and all the jobs it was given, newest last."""

    def __init__(self) -> None:
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="rbcore-job")
        self._lock = threading.Lock()
        self.jobs: dict[str, Job] = {}

    def submit(self, key: str, title: str, work: Work) -> Job:
        """Queue the work, or return the job of that key if it still waits or runs."""
        with self._lock:
            job = self.jobs.get(key)
            if job is None or not job.is_active:
                self.jobs.pop(key, None)
                job = self.jobs[key] = Job(key, title, work)
                self._worker.submit(_run, job)
        return job

    def cancel(self, job: Job) -> None:
        """Ask a job to stop; it does so before its next step and keeps what it finished."""
        job.cancelled.set()
        if job.state == QUEUED:
            job.state, job.message = CANCELLED, "cancelled before it started"

    def active(self) -> list[Job]:
        """Return the jobs that wait or run."""
        return [job for job in list(self.jobs.values()) if job.is_active]

    def is_active(self, key: str) -> bool:
        """Whether the job of that key waits or runs."""
        job = self.jobs.get(key)
        return job is not None and job.is_active


def _run(job: Job) -> None:
    if job.cancelled.is_set():
        return
    job.state, job.started = RUNNING, time.monotonic()
    try:
        job.message = job.work(job.report, job.cancelled.is_set)
        job.state = DONE
    except Cancelled as error:
        job.state, job.message = CANCELLED, str(error)
    except RobustnessBiasError as error:
        job.state, job.message = FAILED, str(error)
    except Exception as error:  # the page must learn of it: a thread's traceback reaches nobody
        traceback.print_exc()
        job.state, job.message = FAILED, f"It stopped with an unexpected error ({type(error).__name__}: {error})."


@st.cache_resource(show_spinner=False)
def runner() -> Runner:
    """Return the server's runner, shared by all its visitors."""
    return Runner()


def show_job(job: Job) -> None:
    """Draw one job: its title, how far it is, and a button to cancel it; call inside a fragment that reruns."""
    if job.is_active:
        bar, button = st.columns([5, 1], vertical_alignment="center")
        left = f", about {job.seconds_left:,.0f} s left" if job.seconds_left else ""
        bar.progress(job.share, text=f"**{plain(job.title)}**: {plain(job.what)} ({job.done:,} of {job.total:,}{left})")
        if button.button("Cancel", key=f"cancel-{job.key}", width="stretch", disabled=job.cancelled.is_set()):
            runner().cancel(job)
    elif job.state == DONE:
        st.success(f"**{plain(job.title)}**: {plain(job.message)}")
    elif job.state == FAILED:
        st.error(f"**{plain(job.title)}**: {plain(job.message)}")
    else:
        st.warning(f"**{plain(job.title)}**: {plain(job.message)}")


@st.fragment(run_every="500ms")
def watch(keys: tuple[str, ...]) -> None:
    """Draw the jobs of these keys and follow them; when the last one ends, the whole page is drawn anew once."""
    jobs = [job for key in keys if (job := runner().jobs.get(key)) is not None]
    for job in jobs:
        show_job(job)
    if not any(job.is_active for job in jobs):
        st.rerun()
