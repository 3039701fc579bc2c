"""Jobs that check a user's folder of images, and that import weights as a run."""

import hashlib
import re
import shutil
import tempfile
import weakref
from dataclasses import replace
from pathlib import Path

from pages.shell import jobs
from pages.shell.tasks import skipped_in_words
from rbcore.datasets import DatasetRequest, open_dataset
from rbcore.errors import RobustnessBiasError, StoreError
from rbcore.runs.importing import ImportRequest, import_request, run_name_of
from rbcore.runtime import Cancel, Progress

LONGEST = 60
"""Characters of the longest list of classes that a sentence repeats."""


def submit_check(request: DatasetRequest) -> jobs.Job:
    """Queue a job that loads a dataset, says how much of it is usable, and remembers the folder."""

    def check(progress: Progress, cancel: Cancel) -> str:
        data = open_dataset(request, progress)
        counts = data.samples["split"].value_counts()
        classes = ", ".join(data.classes)
        named = f" ({classes})" if len(classes) <= LONGEST else ""
        return (
            f"{len(data.samples):,} images can be used at {data.size} x {data.size} pixels: "
            f"{counts['train']:,} to train, {counts['test']:,} to test; {len(data.classes)} "
            f"classes{named}; partitions: "
            f"{', '.join(data.partitions)}{skipped_in_words(data)}."
        ) + "".join(f"\n{note}" for note in data.notes)

    return jobs.runner().submit(f"check {request}", f"Check {request.name}", check)


def submit_import(
    data: DatasetRequest, weights: ImportRequest, upload: tuple[str, bytes] | None
) -> tuple[jobs.Job, str]:
    """Queue the import of weights from a path on the server or an upload (its name and bytes).

    Return the job and the name of the run. An upload is written under a name of ours; its own
    only decides which format is read.

    Raises
    ------
    RobustnessBiasError
        If neither is given, or the upload cannot be written.
    """
    if upload is None and not weights.file.name:
        raise RobustnessBiasError("There is no checkpoint yet: upload a file, or enter its path.")
    if upload is not None:
        shown, content = upload
        source = f"sha256 {hashlib.sha256(content).hexdigest()}"
        suffix = ".safetensors" if shown.lower().endswith(".safetensors") else ".pt"
        file = _write_upload(f"weights{suffix}", content)
    else:
        file = weights.file
        shown, source = file.name, str(file)
    run_name = weights.run or run_name_of(shown)
    wanted = replace(weights, file=file, run=run_name)

    def import_them(progress: Progress, cancel: Cancel) -> str:
        try:
            dataset = open_dataset(data, progress)
            progress(0, 1, "measuring the accuracy")
            run = import_request(wanted, dataset)
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
    key = f"import {source} {data} {replace(wanted, file=Path(shown))}"
    title = f"Import {shown} as {weights.model} on {data.name}"
    return jobs.runner().submit(key, title, import_them), run_name


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
