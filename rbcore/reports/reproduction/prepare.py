"""Train and compute what a plan asks for and the store does not hold.

What was finished is not done again.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from rbcore.datasets import DATASETS, Dataset, known_folder, load_dataset
from rbcore.distances.estimate import estimate_distances
from rbcore.distances.stored import stored_distances
from rbcore.errors import Cancelled, RobustnessBiasError
from rbcore.reports.reproduction.plan import PARTITIONS, SIZES, Audit, Work
from rbcore.runs.checkpoints import Run
from rbcore.runs.loading import load_model
from rbcore.runtime import Progress, no_progress
from rbcore.store import StoredTable
from rbcore.training.train import train

KEEP = "3"


@dataclass(frozen=True)
class Entry:
    """One table of distances at hand: what was asked for, and the rows that answer it."""

    work: Work
    epoch: str
    run: Run
    stored: StoredTable
    rows: pd.DataFrame


@dataclass(frozen=True)
class Material:
    """What is at hand of one dataset.

    Attributes
    ----------
    audit
        What was asked for.
    dataset
        None where its data are absent.
    runs
        By the model's name.
    entries
        Tables of distances.
    problems
        Why something is missing, in sentences.
    """

    audit: Audit
    dataset: Dataset | None
    runs: Mapping[str, Run]
    entries: tuple[Entry, ...]
    problems: tuple[str, ...]

    @property
    def name(self) -> str:
        """Name of the dataset."""
        return self.audit.dataset

    @property
    def title(self) -> str:
        """Name of the dataset for people."""
        return DATASETS[self.audit.dataset].title

    @property
    def partitions(self) -> tuple[str, ...]:
        """The dataset's partitions that are reported, the class first."""
        return PARTITIONS.get(self.name, DATASETS[self.name].partitions)

    def find(self, model: str, method: str, epoch: str = "last") -> Entry | None:
        """Return a model's distances by a method at an epoch, if they are at hand."""
        for entry in self.entries:
            if (entry.work.model, entry.work.method, entry.epoch) == (model, method, epoch):
                return entry
        return None

    def rows(self, model: str, method: str, epoch: str = "last") -> pd.DataFrame | None:
        """Return the rows of `find`."""
        entry = self.find(model, method, epoch)
        return None if entry is None else entry.rows


def prepare(
    audits: Iterable[Audit],
    *,
    folders: Mapping[str, Path] | None = None,
    checksum: bool | None = None,
    device: str = "auto",
    progress: Progress = no_progress,
    tell: Callable[[str], None] = lambda _: None,
) -> list[Material]:
    """Load, train and compute; what cannot be had is said, and does not stop the rest.

    Parameters
    ----------
    audits
        See `rbcore.reports.reproduction.plan.PLAN`.
    folders
        Folders of datasets by name, for those whose remembered one does not serve.
    checksum
        False accepts files that are not the published ones, for the folders that are named.
    device, progress
        As of `rbcore.distances.estimate.estimate_distances`.
    tell
        Called with a sentence at every step.
    """
    return [
        _prepare(audit, (folders or {}).get(audit.dataset), checksum, device, progress, tell)
        for audit in audits
    ]


def _prepare(
    audit: Audit,
    folder: Path | None,
    checksum: bool | None,
    device: str,
    progress: Progress,
    tell: Callable[[str], None],
) -> Material:
    spec = DATASETS[audit.dataset]
    if spec.needs_folder and folder is None and known_folder(spec) is None:
        return Material(audit, None, {}, (), ("not run: data absent",))
    tell(f"{spec.title}: loading")
    try:
        dataset = load_dataset(
            audit.dataset,
            root=folder,
            size=SIZES.get(audit.dataset),
            checksum=None if folder is None else checksum,
            progress=progress,
        )
    except Cancelled:
        raise
    except RobustnessBiasError as error:
        return Material(
            audit,
            None,
            {},
            (),
            (f"not run: {_without_folder(str(error), folder or known_folder(spec))}",),
        )
    runs: dict[str, Run] = {}
    problems: list[str] = []
    for model, epochs in audit.epochs.items():
        tell(f"{spec.title}: {model}")
        try:
            runs[model] = train(
                model, dataset, epochs=epochs, keep=KEEP, device=device, progress=progress
            )
        except Cancelled:
            raise
        except RobustnessBiasError as error:
            problems.append(f"{model} not trained: {error}")
    entries: list[Entry] = []
    for work in audit.work:
        if work.model not in runs:
            continue
        run = runs[work.model]
        for epoch in work.epochs:
            try:
                network = load_model(work.model, dataset, epoch=epoch, run=run.name, device=device)
                rows = estimate_distances(
                    network,
                    dataset,
                    work.method,
                    work.rows,
                    progress=progress,
                    **work.parameters,
                )
                stored = stored_distances(run, epoch, work.method, **work.parameters)
            except Cancelled:
                raise
            except RobustnessBiasError as error:
                problems.append(f"{work.method} on {work.model}, {epoch} epoch: {error}")
                continue
            if stored is not None:
                entries.append(Entry(work, epoch, run, stored, rows))
    return Material(audit, dataset, runs, tuple(entries), tuple(problems))


def _without_folder(text: str, folder: Path | None) -> str:
    """Return a text without the folder it names: a report is passed on."""
    return (
        text
        if folder is None
        else text.replace(os.fspath(folder), "the folder").replace(
            str(folder.resolve()), "the folder"
        )
    )
