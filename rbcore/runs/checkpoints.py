"""Runs and their checkpoints: one safetensors file of weights an epoch, with a JSON sidecar.

A *run* is dataset + model + size + recipe + seed + validation split + mitigation, with a name. It
lies in ``runs/<dataset>/<model>/<run>/`` of the user's cache or of what ships, as
``epoch-0001.safetensors`` and ``.json``.
"""

from __future__ import annotations

import datetime
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rbcore.errors import CheckpointError, StoreError, UnknownNameError
from rbcore.models.base import MODELS, Model, build_network
from rbcore.registry import unknown_name
from rbcore.runs.command_lines import Option, command
from rbcore.runs.sidecar import Sidecar
from rbcore.store import (
    Settings,
    cache_root,
    read_record,
    roots,
    sha256_of_file,
    write_atomically,
    write_record,
)
from rbcore.training.recipes import named_epochs

if TYPE_CHECKING:
    import torch

RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+=-]{0,95}")
SIDECAR = re.compile(r"epoch-[0-9]{4,}\.json")


@dataclass(frozen=True)
class Run:
    """A training run as its sidecars describe it.

    Attributes
    ----------
    dataset, model, name
        Which run it is.
    folder
        Where its checkpoints lie.
    epochs
        Epochs that have a checkpoint, ascending; counted from 1.
    n_epochs
        Epochs the recipe asks for.
    mitigation
        What was done about a bias: ``kind``, a registered mitigation, and its settings; None in a
        plain run.
    facts
        The sidecar of the newest checkpoint.
    """

    dataset: str
    model: str
    name: str
    folder: Path
    epochs: tuple[int, ...]
    n_epochs: int
    mitigation: Settings | None
    facts: Sidecar

    @property
    def is_complete(self) -> bool:
        """Whether the last epoch has its checkpoint."""
        return self.n_epochs in self.epochs

    @property
    def is_plain(self) -> bool:
        """Whether it was trained without a mitigation."""
        return self.mitigation is None

    @property
    def is_usual(self) -> bool:
        """Whether it is meant where none is named: plain, complete, without a validation split."""
        return self.is_plain and self.is_complete and not self.facts.validation

    def epoch(self, which: str | int) -> int:
        """Resolve ``first | middle | last | N``: 1, ceil(E / 2), E of the E epochs, or N itself.

        Raises
        ------
        UnknownNameError
            If that epoch has no checkpoint.
        """
        named = named_epochs(self.n_epochs)
        text = str(which)
        epoch = named[text] if text in named else int(text) if text.isdecimal() else None
        if epoch not in self.epochs:
            known = [name for name, number in named.items() if number in self.epochs]
            raise unknown_name(
                f"epoch of run {self.name} of {self.model} on {self.dataset}",
                which,
                known + [str(e) for e in self.epochs],
            )
        return epoch

    def sidecar(self, which: str | int) -> Sidecar:
        """Return the sidecar of one epoch's checkpoint.

        A damaged sidecar, or one of another run or epoch, raises `StoreError`.
        """
        return _read_sidecar(self.folder, self.epoch(which))


def _stem(epoch: int) -> str:
    return f"epoch-{epoch:04d}"


def run_folder(dataset: str, model: str, name: str) -> Path:
    """Return the folder in the user's cache for a run.

    A name that is not a plain file name raises `CheckpointError`.
    """
    if not RUN_NAME.fullmatch(name):
        raise CheckpointError(
            f"{name!r} is not a valid name of a run; use up to 96 letters, digits and . - _ + =, "
            "the first a letter or digit."
        )
    return cache_root() / "runs" / dataset / model / name


def list_runs(dataset: str | None = None, model: str | None = None) -> list[Run]:
    """Return all runs, the user's and those that ship, newest first.

    A name the user took hides a shipped one.

    A run whose newest sidecar is damaged is left out: `damaged_runs` names it.

    Examples
    --------
    >>> import rbcore as rb
    >>> [(run.name, run.n_epochs) for run in rb.list_runs("digits", "small_cnn")]
    [('modern-8px-12ep-seed0', 12)]
    """
    return _read_runs(dataset, model)[0]


def damaged_runs(dataset: str | None = None, model: str | None = None) -> list[str]:
    """Return a sentence on every run that `list_runs` leaves out.

    It names the file, what is wrong, and the remedy.
    """
    return list(_read_runs(dataset, model)[1].values())


def _read_runs(dataset: str | None, model: str | None) -> tuple[list[Run], dict[Path, str]]:
    """Return the runs that can be read, newest first, and by folder what is wrong with others."""
    found: dict[tuple[str, str, str], Run] = {}
    damaged: dict[Path, str] = {}
    for root in roots():
        for folder in sorted((root / "runs").glob("*/*/*")):
            if dataset not in (None, folder.parts[-3]) or model not in (None, folder.parts[-2]):
                continue
            try:
                run = _read_run(folder)
            except StoreError as error:
                damaged[folder] = str(error)
                continue
            except OSError as error:
                damaged[folder] = (
                    f"The run's folder {folder} cannot be read: {error.strerror}. "
                    "Delete it by hand."
                )
                continue
            if run is not None:
                found.setdefault((run.dataset, run.model, run.name), run)
    runs = sorted(found.values(), key=lambda run: (run.facts.created, run.name), reverse=True)
    return runs, damaged


def _read_run(folder: Path) -> Run | None:
    epochs = tuple(
        int(path.stem.removeprefix("epoch-"))
        for path in sorted(folder.glob("epoch-*.json"))
        if SIDECAR.fullmatch(path.name) and path.with_suffix(".safetensors").exists()
    )
    if not epochs:
        return None
    facts = _read_sidecar(folder, epochs[-1])
    names = (facts.dataset, facts.model, facts.run)
    return Run(*names, folder, epochs, facts.n_epochs, facts.mitigation, facts)


def _read_sidecar(folder: Path, epoch: int) -> Sidecar:
    """Read one epoch's sidecar, or raise `StoreError` where it is damaged, moved or renamed."""
    path = folder / f"{_stem(epoch)}.json"
    found = read_record(path, Sidecar)
    says = (found.dataset, found.model, found.run, found.epoch)
    if says != (*folder.parts[-3:], epoch):
        named = " / ".join(str(name) for name in says)
        raise StoreError(
            f"The sidecar {path} belongs to {named}: it was moved or renamed. Move it back, or "
            "delete the run's folder."
        )
    return found


def find_run(dataset: str, model: str, name: str | None = None, **options: Option) -> Run:
    """Return the named run, or the newest complete plain one.

    Parameters
    ----------
    dataset, model, name
        Names; the newest complete plain run where no name is given.
    **options
        What the caller was told of the data and the device: options of the command that the error
        tells to train a run with.

    Raises
    ------
    UnknownNameError
        If there is none, or no such model; the text says which there are and how to train one.
    StoreError
        If the named run is damaged.
    """
    runs, damaged = _read_runs(dataset, model)
    if name is not None:
        for run in runs:
            if run.name == name:
                return run
        for folder, sentence in damaged.items():
            if folder.name == name:
                raise StoreError(sentence)
        raise unknown_name(f"run of {model} on {dataset}", name, [run.name for run in runs])
    chosen = next((run for run in runs if run.is_usual), None)
    if chosen is None:
        MODELS[model]  # an unknown model cannot be trained
        raise UnknownNameError(
            f"There is no complete plain run of {model} on {dataset}. Train one: "
            f"{command('train', dataset, model, **options)}"
        )
    return chosen


def refuse_another(existing: Run, facts: Mapping[str, object]) -> None:
    """Raise `CheckpointError` if an existing run differs from the one that wants its name."""
    known = without_none(existing.facts.model_dump(mode="json"))
    for what, value in without_none(json.loads(json.dumps(facts))).items():
        if known.get(what) != value:
            raise CheckpointError(
                f"The run {existing.name!r} exists with another {what.replace('_', ' ')} "
                f"({known.get(what)} instead of {value}). Choose another name "
                "with run= or --run."
            )


def without_none(value: Any) -> Any:  # what JSON holds
    """Return a value of JSON without the entries of objects that are null."""
    if isinstance(value, dict):
        return {name: without_none(entry) for name, entry in value.items() if entry is not None}
    return value


def now() -> str:
    """Return the time in UTC, to the second, as a sidecar's ``created``."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def weights_bytes(network: torch.nn.Module) -> int:
    """Return about how many bytes one checkpoint of the network takes."""
    tensors: list[torch.Tensor] = list(network.state_dict().values())
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors) + 4096


def refuse_if_disk_is_short(folder: Path, needed: int) -> None:
    """Raise `StoreError` if a disk has less than ``needed`` bytes and a tenth more free."""
    existing = folder
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    if free < 1.1 * needed:
        raise StoreError(
            f"The checkpoints would take {needed / 1e6:,.1f} MB, but {existing} "
            f"has {free / 1e6:,.1f} MB free. Keep fewer (--keep 3) or set "
            "RBCORE_CACHE to another disk."
        )


def save_checkpoint(
    folder: Path, epoch: int, network: torch.nn.Module, facts: Mapping[str, object]
) -> Sidecar:
    """Write one epoch's weights, then its sidecar with their hash.

    Parameters
    ----------
    facts
        The fields of `Sidecar` but ``epoch`` and ``sha256``.
    """
    from safetensors.torch import save_file

    tensors = {
        name: tensor.detach().cpu().clone().contiguous()
        for name, tensor in network.state_dict().items()
    }
    path = folder / f"{_stem(epoch)}.safetensors"
    builder = facts.get(
        "builder_sha256"
    )  # in the file too: the same weights in another network are another model
    metadata = {"builder_sha256": str(builder)} if builder else None
    write_atomically(path, lambda temporary: save_file(tensors, os.fspath(temporary), metadata))
    content = {**facts, "epoch": epoch, "sha256": sha256_of_file(path)}
    sidecar = Sidecar.model_validate_json(json.dumps(content))
    write_record(path.with_suffix(".json"), sidecar)
    return sidecar


def load_checkpoint(run: Run, epoch: str | int, device: torch.device) -> Model:
    """Build the network of a run's epoch, check the file against its sidecar, and load the weights.

    Raises
    ------
    CheckpointError
        If the file is damaged, was altered, or does not fit the network.
    """
    import safetensors.torch
    import torch

    from rbcore.outputs import Reading, adapted

    facts = run.sidecar(epoch)
    path = run.folder / f"{_stem(facts.epoch)}.safetensors"
    if sha256_of_file(path) != facts.sha256:
        raise CheckpointError(
            f"{path} is not the file its sidecar describes (its SHA-256 differs). "
            "Train the run again."
        )
    if facts.model in MODELS and MODELS[facts.model].source_sha256 != facts.builder_sha256:
        raise CheckpointError(
            f"The builder of {facts.model!r} is not the one run {run.name!r} was made with. "
            "Import or train again."
        )
    channels, height, width = facts.input_shape
    reading = Reading(**facts.outputs.model_dump()) if facts.outputs else Reading()
    n_outputs = reading.n_outputs or len(facts.classes)
    with torch.device(
        "meta"
    ):  # no initial weights: they would draw from the random stream of a training beside us
        built = build_network(
            facts.model,
            (channels, height, width),
            n_outputs,
            facts.mean,
            facts.std,
        )
    network = adapted(built, reading)
    try:
        network.load_state_dict(safetensors.torch.load_file(path), assign=True)
    except (safetensors.SafetensorError, RuntimeError) as error:
        raise CheckpointError(f"{path} does not fit {facts.model}: {error}") from error
    return Model(network.to(device).eval().requires_grad_(False), facts.sha256, facts, device)
