"""Networks in every form of `benchmarks.network_outputs`, and every architecture untrained."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

import rbcore as rb
from benchmarks import network_outputs
from benchmarks.robustness.cases import (
    HOSTILE,
    SAME,
    VALID,
    WRONG,
    Case,
    Outcome,
    must_refuse,
    same_as,
)
from benchmarks.robustness.world import World, digest_of_tensors
from rbcore.models import MODELS, build_network
from rbcore.models.torchvision_import import torchvision_models
from rbcore.outputs import read_outputs
from rbcore.runs.foreign_weights import read_weights
from rbcore.runs.importing import import_weights
from rbcore.runs.weight_matching import choose_weights, fit_state_dict

N = 12
SMALL, TORCHVISION_SIDE = ("squeezenet1_0", "densenet121", "resnet50"), 224
SIDES = (32, 64, 48, 200, 224, 227)
Tensors = dict[str, torch.Tensor]


def output_cases(world: World, seed: int) -> Iterator[Case]:
    """Yield what a network may return, by every method: the exact distance or a refusal."""
    for number, form in enumerate(network_outputs.cases(N)):
        for spelled in network_outputs.METHODS:
            family, kind = (
                (HOSTILE, "networks") if form.expected is None else (VALID, "networks' outputs")
            )
            judge = must_refuse if form.expected is None else _judge_ratios(spelled)
            yield Case(family, kind, f"{form.name} by {spelled}", _act_on(number, spelled), judge)


def _act_on(number: int, spelled: str) -> Callable[[Path], Any]:
    """Return what measures a form by its number; the network itself is made in the worker."""

    def act(folder: Path) -> Any:
        return network_outputs.ratios(list(network_outputs.cases(N))[number], spelled, N)

    return act


def _judge_ratios(spelled: str) -> Callable[[Any], Outcome]:
    def judge(ratios: Any) -> Outcome:
        is_right = network_outputs.is_right(spelled, ratios)
        return (
            Outcome(SAME)
            if is_right
            else Outcome(WRONG, f"{ratios.min():.3f} to {ratios.max():.3f} of the exact distance")
        )

    return judge


def weight_name_cases(world: World, seed: int) -> Iterator[Case]:
    """Yield the weights of one network as others save them: prefixes, wrappers, types, files."""
    for name, change in savings().items():
        for suffix in (".pth", ".pt", ".th", ".bin", ".ckpt"):
            if suffix == ".pth" or name in ("plain", "module.", "state_dict"):
                yield _import_case(
                    world,
                    f"{name}, called net{suffix}",
                    f"net{suffix}",
                    lambda t, c=change: _saved(c(t)),
                )
    for prefix in ("", "module.", "model."):
        yield _import_case(
            world,
            f"safetensors, prefix {prefix!r}",
            "net.safetensors",
            lambda t, p=prefix: safetensors.torch.save(
                {p + name: tensor for name, tensor in t.items()}
            ),
        )
    for file in ("NET.PTH", "net.SAFETENSORS", "é.pth", "日本.pth", "a b.pth", "net"):
        make = safetensors.torch.save if file.endswith("SAFETENSORS") else _saved
        yield _import_case(world, f"called {file}", file, make)
    yield _import_case(
        world,
        "torch's format before 1.6",
        "net.pth",
        lambda t: _saved(t, _use_new_zipfile_serialization=False),
    )
    yield from torchvision_cases()
    yield from architecture_cases()


def _prefixed(prefix: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {prefix + name: tensor for name, tensor in tensors.items()}


def savings() -> dict[str, Callable[[Tensors], object]]:
    """Return how the same weights are saved by others."""
    prefixes = (
        "module.",
        "model.",
        "net.",
        "network.",
        "_orig_mod.",
        "module._orig_mod.",
        "model.module.",
        "backbone.",
    )
    wrappers = ("state_dict", "model_state_dict", "model", "net", "network", "weights")
    return {
        "plain": lambda tensors: tensors,
        **{prefix: _prefixed(prefix) for prefix in prefixes},
        **{key: lambda tensors, key=key: {key: tensors} for key in wrappers},
        "state_dict with module.": lambda tensors: {
            "state_dict": _prefixed("module.")(tensors),
            "epoch": 3,
        },
        "state_dict beside an optimizer": lambda tensors: {
            "state_dict": tensors,
            "optimizer": {"state": {}, "lr": 0.1},
        },
        "model beside numbers": lambda tensors: {
            "model": tensors,
            "epoch": 7,
            "best_acc1": 91.5,
            "arch": "small_cnn",
        },
        "parameters": lambda tensors: {
            name: torch.nn.Parameter(tensor) for name, tensor in tensors.items()
        },
        "reversed order": lambda tensors: dict(reversed(tensors.items())),
        "float64": lambda tensors: {name: tensor.double() for name, tensor in tensors.items()},
        "channels last": lambda tensors: {
            name: tensor.to(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor
            for name, tensor in tensors.items()
        },
    }


def _saved(content: object, **options: Any) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()


def _import_case(world: World, name: str, file: str, content: Callable[[Tensors], bytes]) -> Case:
    def make(folder: Path) -> None:
        (folder / file).write_bytes(
            content(safetensors.torch.load_file(world.weights / "net.safetensors"))
        )

    def act(folder: Path) -> str:
        digits = rb.load_dataset("digits")
        run = import_weights(digits, "small_cnn", folder / file, run="foreign", device="cpu")
        network = rb.load_model("small_cnn", digits, run=run.name, device="cpu").network
        return digest_of_tensors(network.get_submodule("network").state_dict())

    return Case(
        VALID, "weights as others save them", name, act, same_as(world.facts["weights"]), make
    )


def torchvision_cases() -> Iterator[Case]:
    """Yield torchvision's own state dicts for the five architectures that are torchvision's."""
    for spec in MODELS.values():
        if spec.imagenet:
            for prefix in ("", "module.", "model."):
                yield _torchvision_case(spec.name, prefix)


def _torchvision_case(name: str, prefix: str) -> Case:
    """Return the case of torchvision's weights: tensors in place, and equal logits if small."""

    def act(folder: Path) -> Any:
        is_small = name in SMALL
        with torch.device("cpu" if is_small else "meta"):
            torch.manual_seed(0)
            theirs = torchvision_models().get_model(name, weights=None, num_classes=2).eval()
            network = build_network(
                name, (3, TORCHVISION_SIDE, TORCHVISION_SIDE), 2, (0.0,) * 3, (1.0,) * 3
            ).eval()
        inner, file = network.get_submodule("network"), folder / "net.pth"
        state = _prefixed(prefix)(theirs.state_dict())
        if not is_small:
            found = choose_weights({"": state}, inner, file, name).tensors
            return found.keys() == inner.state_dict().keys() and sorted(
                map(id, found.values())
            ) == sorted(map(id, state.values()))
        torch.save(state, file)
        fit_state_dict(
            inner, choose_weights(read_weights(file), inner, file, name).tensors, file, name
        )
        images = _images(2, TORCHVISION_SIDE)
        with torch.no_grad():
            return bool(torch.allclose(network(images), theirs(images), atol=1e-5))

    return Case(
        VALID,
        "torchvision's own weights",
        f"{name}, prefix {prefix!r}",
        act,
        same_as(True),
        seconds=90,
    )


def architecture_cases() -> Iterator[Case]:
    """Yield every architecture with random weights: its outputs are accepted as logits."""
    for spec in MODELS.values():
        for seed in (0, 1):
            yield _architecture_case(spec.name, seed)


def _architecture_case(name: str, seed: int) -> Case:
    def act(folder: Path) -> Any:
        images = _images(2, side_of(name))
        torch.manual_seed(seed)
        network = build_network(name, (3, *images.shape[2:]), 2, (0.5,) * 3, (0.5,) * 3).eval()
        return read_outputs(network, images, 2, "logits").notes

    def judge(notes: Any) -> Outcome:
        return Outcome(WRONG, f"taken as {notes}") if notes else Outcome(SAME)

    return Case(VALID, "untrained networks", f"{name}, seed {seed}", act, judge, seconds=90)


def side_of(name: str) -> int:
    """Return the first usual side that an architecture takes."""
    return next(side for side in SIDES if MODELS[name].takes(side, side))


def _images(n: int, side: int) -> torch.Tensor:
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(1))
