"""ImageNet weights for all layers of torchvision's networks but the classifying one."""

import re
import sys
import urllib.parse
from pathlib import Path

import torch
from torch import Tensor, nn

from rbcore.errors import CheckpointError
from rbcore.models.base import MODELS
from rbcore.models.torchvision_import import torchvision_models
from rbcore.runs.foreign_weights import read_weights
from rbcore.store import make_folder, sha256_of_file

IMAGENET = "imagenet"
"""The source that means torchvision's own file, from torch's cache (TORCH_HOME) or
downloaded into it.
"""

OLD_DENSE_LAYER = re.compile(r"(\.denselayer\d+\.(?:norm|conv))\.([12]\.)")
"""Names in torchvision's DenseNet file, ``denselayer1.norm.1.weight``, which its network calls
``denselayer1.norm1.weight``.
"""


def load_imagenet(name: str, network: nn.Module, source: str | Path) -> dict[str, str]:
    """Load ImageNet weights into all layers of a network except the last.

    Parameters
    ----------
    name
        Registered name of the model: one whose `ModelSpec` names ImageNet weights.
    network
        What `build_network` returned for it, on any device; changed in place.
    source
        ``"imagenet"`` for torchvision's file, or the path of a ``.safetensors`` or ``.pth`` file
        with torchvision's names of layers. What it holds for the last layer is not used.

    Returns
    -------
    dict
        ``weights``, which they are (torchvision's name, or the file's), and
        ``weights_sha256`` of the file.

    Raises
    ------
    CheckpointError
        If the model has no such weights, they can neither be found nor downloaded, or they do not
        fit: a layer is missing, too much or of another shape.
    """
    spec = MODELS[name]
    if spec.imagenet is None or spec.last_layer is None:
        known = ", ".join(spec.name for spec in MODELS.values() if spec.imagenet is not None)
        raise CheckpointError(
            f"There are no ImageNet weights for {name}, only for {known}; train it from "
            "scratch: --weights none."
        )
    path = (
        _torchvision_file(name, spec.imagenet) if source == IMAGENET else Path(source).expanduser()
    )
    backbone = network.get_submodule("network.backbone")
    weights = {OLD_DENSE_LAYER.sub(r"\1\2", key): tensor for key, tensor in _only_set(path).items()}
    last_layer = spec.last_layer + "."
    weights = {key: tensor for key, tensor in weights.items() if not key.startswith(last_layer)}
    expected = {
        key: tensor
        for key, tensor in backbone.state_dict().items()
        if not key.startswith(last_layer)
    }
    _refuse_unfit(path, name, weights, expected)
    backbone.load_state_dict(weights, strict=False)
    return {
        "weights": spec.imagenet if source == IMAGENET else path.name,
        "weights_sha256": sha256_of_file(path),
    }


def _refuse_unfit(
    path: Path, name: str, weights: dict[str, Tensor], expected: dict[str, Tensor]
) -> None:
    # Files from before torch 0.4.1 do not count the batches that batch normalization has seen;
    # nothing here reads it.
    missing = [
        key for key in expected if key not in weights and not key.endswith(".num_batches_tracked")
    ]
    unexpected = [key for key in weights if key not in expected]
    misshapen = [
        key for key in weights if key in expected and weights[key].shape != expected[key].shape
    ]
    faults = []
    if missing:
        faults.append(f"lacks {_first_of(missing)}")
    if unexpected:
        faults.append(f"holds {_first_of(unexpected)}, which the network does not have")
    if misshapen:
        key = misshapen[0]
        faults.append(
            f"holds {key} in shape {tuple(weights[key].shape)} instead of "
            f"{tuple(expected[key].shape)}"
        )
    if faults:
        raise CheckpointError(f"{path} does not fit {name}: it {', and '.join(faults)}.")


def _first_of(keys: list[str]) -> str:
    return keys[0] if len(keys) == 1 else f"{keys[0]} and {len(keys) - 1} more"


def _torchvision_file(name: str, imagenet: str) -> Path:
    """Return torchvision's file from torch's cache, downloaded if it is not there.

    Its hash is that in its name.
    """
    url = str(torchvision_models().get_weight(imagenet).url)
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(urllib.parse.urlparse(url).path).name
    sha256_start = path.stem.rpartition("-")[2]
    if not path.exists():
        make_folder(path.parent)
        try:
            torch.hub.download_url_to_file(
                url, str(path), sha256_start, progress=sys.stderr.isatty()
            )
        except (OSError, RuntimeError) as error:
            raise CheckpointError(
                f"The ImageNet weights of {name} are not in {path.parent} and cannot be "
                f"downloaded from {url} ({error}); give a file of them with --weights FILE, train "
                "from scratch with --weights none, or connect to the internet."
            ) from error
    if not sha256_of_file(path).startswith(sha256_start):
        raise CheckpointError(
            f"{path} is damaged: its SHA-256 does not start with {sha256_start}. Delete it."
        )
    return path


def _only_set(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file of weights.

    Several sets, or a set below a key, are no ImageNet weights.
    """
    sets = read_weights(path)
    if list(sets) != [""]:
        raise CheckpointError(
            f"{path} does not hold one plain state dict but {', '.join(sets)}. Save "
            "the state dict alone."
        )
    return sets[""]
