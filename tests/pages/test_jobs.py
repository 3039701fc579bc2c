import threading
import time

import pytest
import streamlit as st

from pages.shell import jobs
from rbcore.errors import DatasetError, RobustnessBiasError
from rbcore.runtime import stop_if


@pytest.fixture
def runner():
    return jobs.Runner()


def until_it_ends(runner, job):
    """Wait for a job: the worker takes one at a time, so a later one ends later."""
    done = threading.Event()
    runner.submit("last", "last", lambda progress, cancel: str(done.set()))
    assert done.wait(10)
    return job


def test_a_job_reports_and_returns_its_sentence(runner):
    def work(progress, cancel):
        progress(3, 4, "counting")
        return "it is done"

    job = until_it_ends(runner, runner.submit("a", "A", work))
    assert (job.state, job.message, job.share, job.what) == (
        jobs.DONE,
        "it is done",
        0.75,
        "counting",
    )


def test_a_cancelled_job_stops_and_one_that_waits_never_starts(runner):
    started, ran = threading.Event(), []

    def work(progress, cancel):
        started.set()
        for _ in range(
            1000
        ):  # ends by itself: a worker that cannot be stopped would keep pytest from ending
            stop_if(cancel)
            time.sleep(0.01)
        return "was not stopped"

    running = runner.submit("a", "A", work)
    waiting = runner.submit("b", "B", lambda progress, cancel: ran.append(1))
    assert started.wait(10) and runner.active() == [running, waiting]
    runner.cancel(waiting)
    runner.cancel(running)
    until_it_ends(runner, running)
    assert running.state == waiting.state == jobs.CANCELLED and not ran
    assert "everything finished until then is kept" in running.message


def test_a_key_runs_once_at_a_time_and_again_afterwards(runner):
    go = threading.Event()
    first = runner.submit("a", "A", lambda progress, cancel: str(go.wait(10)))
    assert runner.submit("a", "A", lambda progress, cancel: "never") is first
    go.set()
    until_it_ends(runner, first)
    assert runner.submit("a", "A", lambda progress, cancel: "again") is not first


def test_a_visitor_who_clears_the_caches_does_not_start_a_second_worker():
    go, finished = threading.Event(), []
    first = jobs.runner().submit("a", "A", lambda progress, cancel: str(go.wait(10)))
    st.cache_resource.clear()
    st.cache_data.clear()
    assert jobs.runner().submit("a", "A", lambda progress, cancel: "twice") is first
    second = jobs.runner().submit(
        "b", "B", lambda progress, cancel: str(finished.append(first.state))
    )
    go.set()
    until_it_ends(jobs.runner(), second)
    assert finished == [jobs.DONE]


class Mute(Exception):
    """An error that cannot even be printed."""

    def __str__(self):
        raise ValueError("no words")


UNEXPECTED = "It stopped with an unexpected error ({}). What was finished is kept"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (DatasetError("The folder is empty."), "The folder is empty."),
        (ValueError("x"), UNEXPECTED.format("ValueError: x")),
        (RecursionError("too deep"), UNEXPECTED.format("RecursionError: too deep")),
        (SystemExit(3), UNEXPECTED.format("SystemExit: 3")),
        (KeyboardInterrupt("^C"), UNEXPECTED.format("KeyboardInterrupt: ^C")),
        (GeneratorExit("end"), UNEXPECTED.format("GeneratorExit: end")),
        (MemoryError(), "This machine ran out of memory. What was finished is kept"),
        (Mute(), "It stopped without a message. What was finished is kept"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_an_error_in_a_job_is_its_sentence_and_the_worker_goes_on(runner, error, message):
    def work(progress, cancel):
        raise error

    job = until_it_ends(runner, runner.submit("a", "A", work))
    assert job.state == jobs.FAILED and job.message.startswith(message)


def test_those_that_wait_know_their_place_and_one_that_failed_starts_again(runner):
    go, tries = threading.Event(), []

    def work(progress, cancel):
        tries.append(1)
        if len(tries) == 1:
            raise DatasetError("The folder is empty.")
        return "now it is done"

    runner.submit("a", "A", lambda progress, cancel: str(go.wait(10)))
    first, second = (
        runner.submit("b", "B", work),
        runner.submit("c", "C", lambda progress, cancel: "done"),
    )
    assert [runner.place(job) for job in (first, second)] == [1, 2]
    go.set()
    until_it_ends(runner, first)
    assert first.state == jobs.FAILED
    again = until_it_ends(runner, runner.submit(first.key, first.title, first.function))
    assert (again.state, again.message) == (jobs.DONE, "now it is done")
    assert runner.ended()[0].key == "last" and runner.ended()[1] is again


def test_only_the_newest_ended_jobs_are_remembered(runner):
    for number in range(jobs.MOST_ENDED + 5):
        last = runner.submit(str(number), "A", lambda progress, cancel: "done")
    until_it_ends(runner, last)
    runner.submit("one more", "A", lambda progress, cancel: "done")
    assert (
        len(runner.ended()) <= jobs.MOST_ENDED
        and "0" not in runner.jobs
        and str(last.key) in runner.jobs
    )


def test_the_time_left_follows_the_pace_of_the_stage_in_hand(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(jobs.time, "monotonic", lambda: now[0])
    job = jobs.Job("a", "A", lambda progress, cancel: "", state=jobs.RUNNING)
    job.report(0, 10, "decoding")
    now[0] += 50
    job.report(10, 10, "decoding")
    job.report(60, 100, "training goes on from the sixth of ten epochs")
    assert job.seconds_left is None
    now[0] += 20
    job.report(70, 100, "training")
    assert job.seconds_left == pytest.approx(60)


def test_a_server_that_only_shows_takes_no_job(runner, monkeypatch):
    monkeypatch.setenv("RBCORE_READ_ONLY", "1")
    with pytest.raises(RobustnessBiasError, match="read-only"):
        runner.submit("a", "A", lambda progress, cancel: "done")
    assert not runner.jobs
