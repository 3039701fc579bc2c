"""Train a network and keep a checkpoint of its epochs.

One seed fixes the split of the data, the initial weights, and, epoch by epoch, the order of the batches, the augmentation and
the dropout. Since every epoch has its own random streams, a run that was killed goes on from its last finished epoch and
ends, on a CPU, with the same bits as one that was not.
"""

import json
import os
import platform
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from rbcore.datasets import Dataset
from rbcore.errors import CheckpointError, TrainingError
from rbcore.models import IMAGENET, MODELS, build_network, load_imagenet
from rbcore.models.checkpoints import (
    Run,
    find_run,
    list_runs,
    now,
    refuse_another,
    refuse_if_disk_is_short,
    run_folder,
    save_checkpoint,
    weights_bytes,
)
from rbcore.recipes import Recipe, kept_epochs, recipe_for
from rbcore.running import Cancel, Progress, never, no_progress, resolve_device, stop_if
from rbcore.store import Facts, cache_root, make_folder, sha256_of_facts, sha256_of_file, write_atomically

EVALUATION_BATCH = 256
RESUME = "resume.safetensors"
NO_WEIGHTS = "none"


def default_run_name(recipe: Recipe, size: int, seed: int) -> str:
    """Return the name of a plain run: what sets it apart from its siblings."""
    return f"{recipe.name}-{size}px-{recipe.epochs}ep-seed{seed}"


def run_facts(dataset: Dataset, model: str, name: str, mean: tuple[float, ...], std: tuple[float, ...]) -> Facts:
    """Return what a run's sidecar says of its data and its network."""
    return {
        "dataset": dataset.name,
        "dataset_fingerprint": dataset.fingerprint,
        "size": dataset.size,
        "seed": dataset.seed,
        "input_shape": list(dataset.input_shape),
        "classes": list(dataset.classes),
        "partitions": list(dataset.partitions),
        "mean": list(mean),
        "std": list(std),
        "model": model,
        "builder_sha256": MODELS[model].source_sha256,
        "run": name,
    }


def announced_bytes(dataset: Dataset, model: str, recipe: Recipe, keep: str) -> int:
    """Return about how many bytes the checkpoints of a training run will take, with what is kept to resume it."""
    with torch.device("meta"):  # shapes only: no memory is taken and no random number drawn
        network = build_network(model, dataset.input_shape, len(dataset.classes), dataset.mean, dataset.std)
    # To resume, weights and momentum are kept too, and for a moment their successors beside them.
    return weights_bytes(network) * (len(kept_epochs(keep, recipe.epochs)) + 4)


def train(
    model: str,
    dataset: Dataset,
    *,
    recipe: str = "modern",
    epochs: int | None = None,
    run: str | None = None,
    keep: str = "all",
    weights: str | os.PathLike[str] | None = None,
    device: str = "auto",
    progress: Progress = no_progress,
    cancel: Cancel = never,
) -> Run:
    """Train a registered model on a dataset's training split and return the run.

    Parameters
    ----------
    model, dataset
        Name of the architecture, and the data; the dataset's seed is the run's seed.
    recipe
        ``modern`` or ``paper``; see `rbcore.recipes`.
    epochs
        Passes over the training split; the recipe's own where none is given.
    run
        Name of the run; made of recipe, size, epochs and seed where none is given.
    keep
        ``all``, 3 (first, middle, last) or N checkpoints.
    weights
        Where training starts: ``none``, random weights; ``imagenet``, or a file of these weights, for torchvision's models.
        Where nothing is said: ImageNet's if the model has them, as in the paper.
    device
        ``auto | cpu | cuda[:N]``. On a GPU: bfloat16 autocast and channels-last; on a CPU: float32.
    progress, cancel
        Called after every step: steps done and in all. A run that was cancelled or killed goes on from its last finished
        epoch when it is called again.

    Returns
    -------
    Run
        A complete run of the same name and recipe is returned as it is, since training it again would give the same.

    Raises
    ------
    CheckpointError
        If the name is taken by a different run, or ImageNet weights cannot be had.
    StoreError
        If the cache cannot be written or the disk is too short, before anything is trained.
    TrainingError
        If the loss is no longer finite, or not even one image fits into memory.
    """
    chosen = recipe_for(dataset.name, model, recipe, epochs)
    start = weights or (IMAGENET if MODELS[model].imagenet else NO_WEIGHTS)
    name = run or default_run_name(chosen, dataset.size, dataset.seed)
    folder = run_folder(dataset.name, model, name)
    facts = {
        **run_facts(dataset, model, name, dataset.mean, dataset.std),
        "recipe": chosen.as_facts(),
        "weights": _named_weights(start),
        "regularizer": None,
        "n_epochs": chosen.epochs,
    }
    kept = kept_epochs(keep, chosen.epochs)
    existing = next((found for found in list_runs(dataset.name, model) if found.name == name), None)
    if existing is not None:
        refuse_another(existing, facts)
        if existing.is_complete and set(kept) <= set(existing.epochs):
            return existing
    make_folder(folder)
    refuse_if_disk_is_short(folder, announced_bytes(dataset, model, chosen, keep))
    torch_device = resolve_device(device)
    environment = {"torch": torch.__version__, "python": platform.python_version(), "device": str(torch_device)}
    with torch.random.fork_rng([torch_device] if torch_device.type == "cuda" else []):
        torch.manual_seed(dataset.seed)
        network = build_network(model, dataset.input_shape, len(dataset.classes), dataset.mean, dataset.std)
        if start != NO_WEIGHTS:
            environment |= {f"start_{what}": value for what, value in load_imagenet(model, network, str(start)).items()}
        trainer = _Trainer(network, dataset, chosen, torch_device)
        kept_before = set(existing.epochs) if existing else set()
        history = trainer.resume(folder / RESUME, facts, lambda done: {e for e in kept if e <= done} <= kept_before)
        for epoch in range(len(history) + 1, chosen.epochs + 1):
            so_far = f", test accuracy {history[-1]['test_accuracy']:.1%}" if history else ""
            loss = trainer.train_epoch(epoch, so_far, progress, cancel)
            test = accuracy(network, dataset, dataset.rows("test"), torch_device)
            history.append({"epoch": epoch, "train_loss": loss, "test_accuracy": test})
            if epoch in kept:
                found: Facts = {
                    "created": now(),
                    "train_loss": loss,
                    "test_accuracy": test,
                    "train_accuracy": accuracy(network, dataset, dataset.rows("train"), torch_device),
                    "n_train": len(dataset.rows("train")),
                    "n_test": len(dataset.rows("test")),
                    "history": history,
                }
                save_checkpoint(folder, epoch, network, {**facts, **environment, **found})
            if epoch < chosen.epochs:
                trainer.keep_for_resuming(folder / RESUME, facts, history)
        (folder / RESUME).unlink(missing_ok=True)
    return find_run(dataset.name, model, name)


def _named_weights(start: str | os.PathLike[str]) -> str:
    """Return what a run's facts say of its start: a file of weights by its content."""
    if start in (NO_WEIGHTS, IMAGENET):
        return str(start)
    if not Path(start).is_file():
        raise CheckpointError(f"The weights {start} do not exist; name a file, {IMAGENET!r} or {NO_WEIGHTS!r}.")
    return f"{Path(start).name} sha256:{sha256_of_file(Path(start))}"


@dataclass
class _Trainer:
    """A network in training: what changes from step to step, and nothing else."""

    network: nn.Module
    dataset: Dataset
    recipe: Recipe
    device: torch.device

    def __post_init__(self) -> None:
        on_gpu = self.device.type == "cuda"
        self.network.to(self.device)
        if on_gpu:
            self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.autocast = (
            torch.autocast("cuda", dtype=torch.bfloat16, enabled=True)
            if on_gpu
            else torch.autocast("cpu", enabled=False)
        )
        recipe = self.recipe
        self.optimizer = torch.optim.SGD(
            self.network.parameters(),
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
        )
        self.rows = np.sort(self.dataset.rows("train"))
        n_full, rest = divmod(len(self.rows), recipe.batch_size)
        self.steps_an_epoch = n_full + (
            rest > 1 or n_full == 0
        )  # batch normalisation cannot train on a last batch of one
        self.micro_batch = recipe.batch_size

    def train_epoch(self, epoch: int, so_far: str, progress: Progress, cancel: Cancel) -> float:
        """Train one epoch, counted from 1; leave the network in evaluation mode and return the mean loss."""
        streams = np.random.SeedSequence([self.dataset.seed, epoch]).spawn(2)
        random = np.random.default_rng(streams[0])
        torch.manual_seed(int(streams[1].generate_state(1)[0]))
        n_steps = self.recipe.epochs * self.steps_an_epoch
        order = random.permutation(self.rows)
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        self.network.train()
        for step in range(self.steps_an_epoch):
            stop_if(cancel)
            done = (epoch - 1) * self.steps_an_epoch + step
            for group in self.optimizer.param_groups:
                group["lr"] = self.recipe.rate(done, n_steps)
            batch = order[step * self.recipe.batch_size : (step + 1) * self.recipe.batch_size]
            images, labels = _batch(self.dataset, batch, torch.device("cpu"))
            images = augmented(images, self.recipe, random)
            total += self._step(images.to(self.device), labels.to(self.device)) * len(batch)
            progress(done + 1, n_steps, f"training epoch {epoch} of {self.recipe.epochs}{so_far}")
        self.network.eval()
        loss = float(total) / min(len(self.rows), self.steps_an_epoch * self.recipe.batch_size)
        if not np.isfinite(loss):
            raise TrainingError(
                f"The loss is no longer finite in epoch {epoch}; lower the learning rate ({self.recipe.learning_rate:g})."
            )
        return loss

    def _step(self, images: Tensor, labels: Tensor) -> Tensor:
        """Take one step on a batch; where it does not fit into memory, in parts of half the size that add up to the same."""
        while True:
            try:
                self.optimizer.zero_grad(set_to_none=True)
                loss = torch.zeros((), dtype=torch.float64, device=self.device)
                n_parts = -(-len(images) // self.micro_batch)
                for part_images, part_labels in zip(
                    images.tensor_split(n_parts), labels.tensor_split(n_parts), strict=True
                ):
                    share = len(part_labels) / len(labels)
                    with self.autocast:
                        part_loss = nn.functional.cross_entropy(self.network(part_images), part_labels) * share
                    part_loss.backward()  # type: ignore[no-untyped-call]
                    loss += part_loss.detach().double()
                self.optimizer.step()
                return loss
            except torch.OutOfMemoryError:
                if self.micro_batch == 1:
                    raise TrainingError(
                        "Not even one image fits into memory; load a smaller size or use --device cpu."
                    ) from None
                self.micro_batch = -(-self.micro_batch // 2)
                if self.device.type == "cuda":
                    torch.cuda.empty_cache()

    def keep_for_resuming(self, path: Path, facts: Facts, history: list[Facts]) -> None:
        """Write weights, momentum and history of the last finished epoch."""
        tensors = {f"weights.{name}": tensor for name, tensor in self.network.state_dict().items()}
        for name, parameter in self.network.named_parameters():
            momentum = self.optimizer.state[parameter].get("momentum_buffer")
            if momentum is not None:
                tensors[f"momentum.{name}"] = momentum
        stored = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
        metadata = {"facts": sha256_of_facts(facts), "history": json.dumps(history)}
        write_atomically(path, lambda temporary: safetensors.torch.save_file(stored, os.fspath(temporary), metadata))

    def resume(self, path: Path, facts: Facts, is_kept: Callable[[int], bool]) -> list[Facts]:
        """Take up the run that ``path`` holds, and return the history of its finished epochs.

        It is left alone if it is another run, or if ``is_kept(epochs done)`` says that checkpoints are missing that are
        wanted now.
        """
        with (
            suppress(OSError, safetensors.SafetensorError, KeyError, ValueError),
            safetensors.safe_open(path, "pt") as file,
        ):
            metadata = file.metadata()
            history: list[Facts] = json.loads(metadata["history"])
            if metadata["facts"] == sha256_of_facts(facts) and is_kept(len(history)):
                tensors = {name: file.get_tensor(name).to(self.device) for name in file.keys()}  # noqa: SIM118
                self.network.load_state_dict({name: tensors[f"weights.{name}"] for name in self.network.state_dict()})
                for name, parameter in self.network.named_parameters():
                    if f"momentum.{name}" in tensors:
                        self.optimizer.state[parameter]["momentum_buffer"] = tensors[f"momentum.{name}"]
                return history
        return []


def newest_history(dataset: str, model: str) -> tuple[str, list[Facts]]:
    """Return the name of the newest run, in training or ended, and loss and accuracy after each of its finished epochs.

    The history is empty where nothing was trained, or its first epoch has not ended.
    """
    in_training = sorted(
        (cache_root() / "runs" / dataset / model).glob(f"*/{RESUME}"),
        key=lambda path: path.stat().st_mtime,
        reverse=True,
    )
    for path in in_training:
        with (
            suppress(OSError, safetensors.SafetensorError, KeyError, ValueError),
            safetensors.safe_open(path, "pt") as file,
        ):
            history: list[Facts] = json.loads(file.metadata()["history"])
            return path.parent.name, history
    runs = list_runs(dataset, model)
    return (runs[0].name, runs[0].facts.get("history", [])) if runs else ("", [])


def augmented(images: Tensor, recipe: Recipe, random: np.random.Generator) -> Tensor:
    """Return images (n, channels, height, width) mirrored and shifted at random as the recipe says; edges are repeated."""
    n, _, height, width = images.shape
    if recipe.flip:
        is_mirrored = torch.as_tensor(random.random(n) < 0.5)
        images = torch.where(is_mirrored[:, None, None, None], images.flip(3), images)
    largest = round(recipe.shift * max(height, width))
    if largest:
        padded = nn.functional.pad(images, (largest,) * 4, mode="replicate")
        offsets = torch.as_tensor(random.integers(0, 2 * largest + 1, size=(2, n, 1)))
        rows, columns = offsets[0] + torch.arange(height), offsets[1] + torch.arange(width)
        images = padded[torch.arange(n)[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    return images


def accuracy(network: nn.Module, dataset: Dataset, rows: np.ndarray, device: torch.device) -> float:
    """Return the share of rows that the network, in evaluation mode and float32, classifies correctly."""
    n_correct = 0
    with torch.no_grad():
        for start in range(0, len(rows), EVALUATION_BATCH):
            images, labels = _batch(dataset, rows[start : start + EVALUATION_BATCH], device)
            n_correct += int((network(images).argmax(1) == labels).sum())
    return n_correct / len(rows)


def _batch(dataset: Dataset, rows: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor]:
    return torch.as_tensor(dataset.pixels(rows), device=device), torch.as_tensor(dataset.labels(rows), device=device)
