"""What a page can do to the cache: train a model, estimate distances, delete.

Each is one call of rbcore a step.
"""

from pages.shell import jobs, read_only
from pages.shell.selection import Selection
from rbcore.datasets import Dataset, DatasetRequest, open_dataset
from rbcore.distances.estimate import estimate_distances
from rbcore.errors import RobustnessBiasError
from rbcore.runs.loading import load_model, open_run
from rbcore.runtime import Cancel, Progress
from rbcore.sampling import Rows
from rbcore.store import storage
from rbcore.training.request import TrainingRequest
from rbcore.training.train import train_request

NAMED = 3
"""Skipped files that are named for each reason."""


def submit_training(data: DatasetRequest, training: TrainingRequest, device: str) -> jobs.Job:
    """Queue a training."""

    def work(progress: Progress, cancel: Cancel) -> str:
        dataset = open_dataset(data, progress)
        run = train_request(training, dataset, device=device, progress=progress, cancel=cancel)
        skipped = skipped_in_words(dataset)
        accuracy, n_test = run.facts.test_accuracy, run.facts.n_test
        return (
            f"run {run.name} is ready, test accuracy {accuracy:.1%} (n = {n_test:,}){skipped}; "
            "pick it under Run in the sidebar."
        )

    mitigation = training.mitigation
    title = f"Train {training.model} on {data.name}, seed {data.seed}" + (
        f", {mitigation.suffix[1:]}" if mitigation else ""
    )
    return jobs.runner().submit(f"train {data} {training} {device}", title, work)


def skipped_in_words(data: Dataset) -> str:
    """Say how many files were left out, by their reasons, and name the first of each.

    Nothing where none was.
    """
    if not data.skipped:
        return ""
    by_reason: dict[str, list[str]] = {}
    for skip in data.skipped:
        by_reason.setdefault(skip.reason, []).append(skip.file)
    said = [
        f"{reason}: {', '.join(files[:NAMED])}"
        + (f" and {len(files) - NAMED:,} more" if len(files) > NAMED else "")
        for reason, files in by_reason.items()
    ]
    return f"; skipped files: {len(data.skipped):,} ({'; '.join(said)})"


def submit_estimate(
    selection: Selection, rows: Rows | None = None, *, device: str = "auto"
) -> jobs.Job:
    """Queue the estimation of the distances the selection lacks."""
    run, epoch = selection.run, selection.epoch
    if run is None or epoch is None:
        raise ValueError("an estimate needs a trained run")

    def work(progress: Progress, cancel: Cancel) -> str:
        data, _ = open_run(run.dataset, run.model, run=run.name, progress=progress)
        model = load_model(run.model, data, epoch=epoch, run=run.name, device=device)
        table = estimate_distances(
            model,
            data,
            selection.method,
            rows,
            progress=progress,
            cancel=cancel,
        )
        n_failed = int((table["status"] == "failed").sum())
        return f"distances of {len(table):,} images are ready, {n_failed} without a result."

    title = f"{selection.method} on {run.model}, run {run.name}, epoch {epoch}"
    return jobs.runner().submit(estimate_key(selection), title, work)


def estimate_key(selection: Selection) -> str:
    """Return the key of the job that computes the selection's distances."""
    name = selection.run.name if selection.run else "-"
    return (
        f"estimate {selection.dataset} {selection.model} {name} {selection.epoch} "
        f"{selection.method}"
    )


def delete_run(item: storage.Item) -> None:
    """Delete one of the user's runs, unless the server is read-only or a job runs."""
    _refuse_deletion()
    storage.delete_run(item.path)


def delete_table(item: storage.Item) -> None:
    """Delete one of the user's tables, unless the server is read-only or a job runs."""
    _refuse_deletion()
    storage.delete_table(item.path)


def _refuse_deletion() -> None:
    read_only.refuse_if_read_only()
    if jobs.runner().active():
        raise RobustnessBiasError(
            "A job is running and may need it. Wait until it ends or cancel it, then delete."
        )
