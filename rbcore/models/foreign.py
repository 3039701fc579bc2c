"""Weights that others trained: read without trusting them, and named as a network of ours names its own.

What is recognised: safetensors and PyTorch files (``weights_only=True``, so no code in them can run); a state dict wrapped
under a key such as ``state_dict``; the prefix ``module.`` that DataParallel leaves. What does not fit is named, never guessed.
"""

import importlib.util
import warnings
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn

from rbcore.errors import CheckpointError, ModelError
from rbcore.models.base import MODELS, ModelSpec
from rbcore.store import sha256_of_file

WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "weights")
PREFIXES = ("module.", "_orig_mod.")
FEW = 5
DEEPEST = 4


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read a foreign checkpoint and return its tensors by name, unwrapped and without prefixes.

    Raises
    ------
    CheckpointError
        If the file is missing, is no checkpoint, holds more than tensors, or holds no named tensors.
    """
    if not path.is_file():
        raise CheckpointError(f"The checkpoint {path} does not exist or is no file; check the path.")
    try:
        if path.suffix == ".safetensors":
            return _without_prefixes(safetensors.torch.load_file(path))
        with warnings.catch_warnings(
            action="ignore"
        ):  # torch's remarks on odd files; the error below says what matters
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # hostile bytes can make the readers raise anything at all
        kind = "a readable safetensors file" if path.suffix == ".safetensors" else "plain weights"
        reason = (str(error).splitlines() or [""])[0][:120]
        raise CheckpointError(
            f"{path} is not {kind}; nothing in it was run. Save the network's state_dict, not the network itself "
            f"({type(error).__name__}: {reason})."
        ) from error
    return _without_prefixes(_unwrapped(loaded, path))


def _unwrapped(loaded: object, path: Path) -> dict[str, Tensor]:
    for _ in range(DEEPEST):
        if not isinstance(loaded, Mapping):
            break
        tensors = {str(name): tensor for name, tensor in loaded.items() if isinstance(tensor, Tensor)}
        wrapped = [loaded[key] for key in WRAPPERS if isinstance(loaded.get(key), Mapping)]
        if wrapped:
            loaded = wrapped[0]
        elif tensors:
            return tensors
        else:
            break
    raise CheckpointError(
        f"{path} holds no named tensors, at the top or under {', '.join(WRAPPERS)}. Save the state_dict."
    )


def _without_prefixes(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in PREFIXES:
        if tensors and all(name.startswith(prefix) for name in tensors):
            return _without_prefixes({name.removeprefix(prefix): tensor for name, tensor in tensors.items()})
    return tensors


def fit_state_dict(network: nn.Module, tensors: dict[str, Tensor], path: Path, model: str) -> None:
    """Load foreign tensors into a network without normalisation.

    Raises
    ------
    CheckpointError
        If names are missing or unexpected, or a shape differs; a different number of classes is said as such.
    """
    own = network.state_dict()
    missing = [name for name in own if name not in tensors and not name.endswith("num_batches_tracked")]
    unexpected = [name for name in tensors if name not in own]
    if missing or unexpected:
        raise CheckpointError(
            f"{path} does not fit {model}: {len(missing)} tensors are missing ({_some(missing)}), {len(unexpected)} are unexpected "
            f"({_some(unexpected)}). Choose the builder the weights were trained with."
        )
    for name, tensor in tensors.items():
        if tensor.shape != own[name].shape:
            last = list(own)[-1]
            is_head = tensor.dim() > 0 and (name == last or own[name].shape[1:] == tensor.shape[1:])
            reason = (
                f"it has {tensor.shape[0]} classes, the dataset {own[name].shape[0]}"
                if is_head and name.rsplit(".", 1)[0] == last.rsplit(".", 1)[0]
                else f"the shape of {name} is {tuple(tensor.shape)} instead of {tuple(own[name].shape)}"
            )
            raise CheckpointError(f"{path} does not fit {model}: {reason}.")
    network.load_state_dict(tensors, strict=False)


def _some(names: list[str]) -> str:
    return ", ".join(names[:FEW]) + (", ..." if len(names) > FEW else "") if names else "none"


def register_builder(path: Path) -> str:
    """Run a Python file that defines ``build(input_shape, n_classes)`` and register it under the file's name.

    The file's code runs with all your rights, so only the command line can be pointed to one.

    Raises
    ------
    ModelError
        If the file is missing, fails, or defines no ``build``; or its name is taken.
    """
    name = path.stem
    if not path.is_file() or path.suffix != ".py":
        raise ModelError(f"The builder {path} is no Python file; name one that defines build(input_shape, n_classes).")
    if name in MODELS:
        raise ModelError(f"The builder {path} has the name of a registered model; rename the file.")
    spec = importlib.util.spec_from_file_location(f"rbcore_builder_{name}", path)
    if spec is None or spec.loader is None:
        raise ModelError(f"The builder {path} cannot be read as Python.")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ModelError(f"The builder {path} failed: {type(error).__name__}: {error}") from error
    build = getattr(module, "build", None)
    if not callable(build):
        raise ModelError(f"The builder {path} defines no function build(input_shape, n_classes).")
    MODELS.add(name, ModelSpec(name, name, build, f"built by {path.name}", source_sha256=sha256_of_file(path)))
    return name
