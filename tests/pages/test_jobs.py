import threading
import time

import pytest

from pages.shell import jobs
from rbcore.errors import DatasetError
from rbcore.running import stop_if


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
    assert (job.state, job.message, job.share, job.what) == (jobs.DONE, "it is done", 0.75, "counting")


def test_a_cancelled_job_stops_and_one_that_waits_never_starts(runner):
    started, ran = threading.Event(), []

    def work(progress, cancel):
        started.set()
        for _ in range(1000):  # ends by itself: a worker that cannot be stopped would keep pytest from ending
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


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (DatasetError("The folder is empty."), "The folder is empty."),
        (ValueError("x"), "It stopped with an unexpected error (ValueError: x). What was finished is kept"),
    ],
)
def test_an_error_in_a_job_is_its_sentence_and_the_worker_goes_on(runner, error, message):
    def work(progress, cancel):
        raise error

    job = until_it_ends(runner, runner.submit("a", "A", work))
    assert job.state == jobs.FAILED and job.message.startswith(message)
