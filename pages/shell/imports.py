"""Jobs that check a user's folder of images, and that import weights as a run."""

import hashlib
import re
import shutil
import tempfile
import weakref
from pathlib import Path

from pages.shell import jobs
from pages.shell.tasks import skipped_in_words
from rbcore.datasets import load_dataset
from rbcore.errors import RobustnessBiasError, StoreError
from rbcore.runs.importing import import_weights, run_name_of
from rbcore.runtime import Cancel, Progress

LONGEST = 60
"""Characters of the longest list of classes that a sentence repeats."""


def submit_check(
    dataset: str, root: str | None, *, size: int, checksum: bool | None, download: bool
) -> jobs.Job:
    """Queue a job that loads a dataset, says how much of it is usable, and remembers the folder."""

    def check(progress: Progress, cancel: Cancel) -> str:
        data = load_dataset(
            dataset, root=root, size=size, checksum=checksum, download=download, progress=progress
        )
        counts = data.samples["split"].value_counts()
        classes = ", ".join(data.classes)
        named = f" ({classes})" if len(classes) <= LONGEST else ""
        return (
            f"{len(data.samples):,} images can be used at {data.size} x {data.size} pixels: "
            f"{counts['train']:,} to train, {counts['test']:,} to test; {len(data.classes)} "
            f"classes{named}; partitions: "
            f"{', '.join(data.partitions)}{skipped_in_words(data)}."
        ) + "".join(f"\n{note}" for note in data.notes)

    key = f"check {dataset} {root} {size} {checksum} {download}"
    return jobs.runner().submit(key, f"Check {dataset}", check)


def submit_import(
    dataset: str,
    model: str,
    *,
    path: str | None,
    upload: tuple[str, bytes] | None,
    name: str | None,
    mean: tuple[float, ...] | None,
    std: tuple[float, ...] | None,
    size: int,
    seed: int,
    weights_key: str | None = None,
    outputs: str | None = None,
) -> tuple[jobs.Job, str]:
    """Queue the import of weights from a path on the server or an upload (its name and bytes).

    Return the job and the name of the run. An upload is written under a name of ours; its own
    only decides which format is read.

    Raises
    ------
    RobustnessBiasError
        If neither is given, or the upload cannot be written.
    """
    if upload is None and not path:
        raise RobustnessBiasError("There is no checkpoint yet: upload a file, or enter its path.")
    if upload is not None:
        shown, content = upload
        source = f"sha256 {hashlib.sha256(content).hexdigest()}"
        suffix = ".safetensors" if shown.lower().endswith(".safetensors") else ".pt"
        file = _write_upload(f"weights{suffix}", content)
    else:
        file = Path(path).expanduser()
        shown, source = file.name, str(file)
    run_name = name or run_name_of(shown)

    def import_them(progress: Progress, cancel: Cancel) -> str:
        try:
            data = load_dataset(dataset, size=size, seed=seed, progress=progress)
            progress(0, 1, "measuring the accuracy")
            run = import_weights(
                data,
                model,
                file,
                run=run_name,
                mean=mean,
                std=std,
                weights_key=weights_key,
                outputs=outputs,
            )
        except RobustnessBiasError as error:
            raise type(error)(
                str(error).replace(str(file), str(file) if upload is None else shown)
            ) from error
        if forget is not None:
            forget()
        facts = run.facts
        found = (
            f"run {run.name} is ready, test accuracy {facts.test_accuracy:.1%} "
            f"(n = {facts.n_test:,})."
        )
        return " ".join(
            [
                found,
                *([f"Warning: {facts.warning}"] if facts.warning else []),
                *facts.notes,
            ]
        )

    # A job that failed can be started again, so an upload is kept until its job succeeds or is
    # dropped.
    forget = (
        None
        if upload is None
        else weakref.finalize(import_them, shutil.rmtree, file.parent, ignore_errors=True)
    )
    key = (
        f"import {source} {dataset} {model} {run_name} {mean} {std} {size} {seed} "
        f"{weights_key} {outputs}"
    )
    return jobs.runner().submit(
        key, f"Import {shown} as {model} on {dataset}", import_them
    ), run_name


def _write_upload(name: str, content: bytes) -> Path:
    try:
        folder = Path(tempfile.mkdtemp(prefix="rbcore-upload-"))
        try:
            (folder / name).write_bytes(content)
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    except OSError as error:
        raise StoreError(
            f"The upload cannot be written to {tempfile.gettempdir()}: {error.strerror}. Set "
            "TMPDIR to a folder with room for it."
        ) from error
    return folder / name


def numbers_of(text: str, what: str) -> tuple[float, ...] | None:
    """Return the numbers of a text such as ``0.485, 0.456, 0.406``, or None where it is empty.

    Raises
    ------
    RobustnessBiasError
        If a part of it is not a number.
    """
    parts = [part for part in re.split(r"[\s,;]+", text.strip()) if part]
    try:
        return tuple(float(part) for part in parts) or None
    except ValueError as error:
        raise RobustnessBiasError(
            f"{what} {text!r} is not a list of numbers; enter one for each channel, "
            "such as 0.5, 0.5, 0.5."
        ) from error
