"""ImageNet weights: made-up files in torchvision's form, and a server that is a folder
or is not there.
"""

import copy
import hashlib
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import safetensors.torch
import torch

from rbcore.errors import CheckpointError
from rbcore.models import MODELS, build_network
from rbcore.models.torchvision_import import torchvision_models
from rbcore.runs.imagenet import IMAGENET, load_imagenet

WITH_IMAGENET = [spec.name for spec in MODELS.values() if spec.imagenet]


def build(name, seed=0, channels=3):
    torch.manual_seed(seed)
    return build_network(name, (channels, 32, 32), 5, (0.5,) * channels, (0.5,) * channels)


def imagenet_weights(name):
    """Weights of torchvision's network for 1000 classes, drawn with another seed."""
    torch.manual_seed(7)
    return torchvision_models().get_model(name, weights=None).state_dict()


@pytest.fixture(scope="module")
def squeezenet():
    return imagenet_weights("squeezenet1_0")


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Serve a file as torchvision's weights of SqueezeNet; return the folder of torch's cache."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))

    def serve(url):
        monkeypatch.setattr(
            torchvision_models(), "get_weight", lambda name: SimpleNamespace(url=url)
        )
        return tmp_path / "torch" / "hub" / "checkpoints"

    return serve


@pytest.fixture
def served(squeezenet, tmp_path):
    """A file of weights that has the start of its SHA-256 in its name, as torchvision's have."""
    path = tmp_path / "served.pth"
    torch.save(squeezenet, path)
    return path.rename(
        tmp_path / f"squeezenet1_0-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}.pth"
    )


def test_the_models_of_the_paper_that_start_from_imagenet_name_their_weights():
    assert WITH_IMAGENET == ["alexnet", "vgg19", "resnet50", "densenet121", "squeezenet1_0"]


@pytest.mark.parametrize("name", WITH_IMAGENET)
def test_all_layers_but_the_last_are_of_the_shapes_of_the_named_weights(name):
    spec = MODELS[name]
    documented = torchvision_models().get_weight(spec.imagenet)
    with torch.device("meta"):
        network = build(name).get_submodule("network.backbone")
        theirs = torchvision_models().get_model(name, weights=None)
    assert (
        sum(parameter.numel() for parameter in theirs.parameters()) == documented.meta["num_params"]
    )
    ours = {key: tensor.shape for key, tensor in network.state_dict().items()}
    differing = {key for key, tensor in theirs.state_dict().items() if ours[key] != tensor.shape}
    assert differing == {f"{spec.last_layer}.weight", f"{spec.last_layer}.bias"}


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_file_fills_all_layers_but_the_last(squeezenet, tmp_path, suffix, channels):
    path = tmp_path / f"mine{suffix}"
    save = safetensors.torch.save_file if suffix == ".safetensors" else torch.save
    save(squeezenet, path)
    network = build("squeezenet1_0", channels=channels)
    before = copy.deepcopy(network.state_dict())
    facts = load_imagenet("squeezenet1_0", network, str(path))
    assert facts == {
        "weights": path.name,
        "weights_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    for key, tensor in network.state_dict().items():
        theirs = squeezenet.get(key.removeprefix("network.backbone."))
        is_new = theirs is None or key.startswith("network.backbone.classifier.1.")
        assert torch.equal(tensor, before[key] if is_new else theirs), key
    assert network.network.backbone.classifier[1].weight.shape[0] == 5


def test_a_file_without_the_last_layer_serves_as_well(squeezenet, tmp_path):
    path = tmp_path / "headless.pth"
    torch.save(
        {key: tensor for key, tensor in squeezenet.items() if not key.startswith("classifier.")},
        path,
    )
    network = build("squeezenet1_0")
    load_imagenet("squeezenet1_0", network, path)
    assert torch.equal(network.network.backbone.features[0].weight, squeezenet["features.0.weight"])


def test_densenet_takes_the_names_in_torchvisions_old_file(tmp_path):
    weights = imagenet_weights("densenet121")
    old = {
        re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", key): tensor
        for key, tensor in weights.items()
        if not key.endswith("num_batches_tracked")
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    torch.save(old, tmp_path / "old.pth")
    network = build("densenet121")
    load_imagenet("densenet121", network, tmp_path / "old.pth")
    loaded = network.get_submodule("network.backbone").state_dict()
    assert all(
        torch.equal(loaded[key], tensor)
        for key, tensor in weights.items()
        if not key.startswith("classifier.")
    )


def without(key):
    return lambda weights: {name: tensor for name, tensor in weights.items() if name != key}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without("features.0.weight"), r"lacks features\.0\.weight\."),
        (lambda weights: {}, "holds no named tensors: it is empty"),
        (
            lambda weights: weights | {"extra.bias": torch.ones(1)},
            r"holds extra\.bias, which the network does not have",
        ),
        (
            lambda weights: weights | {"features.0.bias": torch.ones(64)},
            r"holds features\.0\.bias in shape \(64,\) instead of \(96,\)",
        ),
        (
            lambda weights: {"state_dict": weights},
            "does not hold one plain state dict but state_dict",
        ),
        (lambda weights: list(weights.values()), "holds no named tensors"),
    ],
)
def test_weights_that_do_not_fit_change_nothing_and_are_named(squeezenet, tmp_path, change, said):
    path = tmp_path / "other.pth"
    torch.save(change(squeezenet), path)
    network = build("squeezenet1_0")
    before = copy.deepcopy(network.state_dict())
    with pytest.raises(CheckpointError, match=r"other\.pth.*" + said):
        load_imagenet("squeezenet1_0", network, path)
    assert all(torch.equal(tensor, before[key]) for key, tensor in network.state_dict().items())


class Trap:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_file_that_would_run_code_is_refused_unrun(squeezenet, tmp_path):
    torch.save(squeezenet | {"trap": Trap(tmp_path / "sprung")}, tmp_path / "trap.pth")
    with pytest.raises(CheckpointError, match=r"trap\.pth is not plain weights"):
        load_imagenet("squeezenet1_0", build("squeezenet1_0"), tmp_path / "trap.pth")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("name", ["noise.pth", "noise.safetensors"])
def test_a_file_of_something_else_is_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"not weights at all")
    with pytest.raises(CheckpointError, match=f"{name} is not .*; nothing in it was run"):
        load_imagenet("squeezenet1_0", build("squeezenet1_0"), tmp_path / name)
    with pytest.raises(CheckpointError, match="nowhere.pth does not exist"):
        load_imagenet("squeezenet1_0", build("squeezenet1_0"), tmp_path / "nowhere.pth")


def test_a_model_without_imagenet_weights_says_which_have_them():
    network = build_network("small_cnn", (1, 8, 8), 10, (0.5,), (0.5,))
    with pytest.raises(
        CheckpointError,
        match="no ImageNet weights for small_cnn, only for alexnet, .*--weights none",
    ):
        load_imagenet("small_cnn", network, IMAGENET)


def test_torchvisions_file_is_downloaded_once_and_checked(squeezenet, served, hub):
    cached = hub(served.as_uri()) / served.name
    network = build("squeezenet1_0")
    facts = load_imagenet("squeezenet1_0", network, IMAGENET)
    assert facts["weights"] == "SqueezeNet1_0_Weights.IMAGENET1K_V1"
    assert facts["weights_sha256"] == hashlib.sha256(cached.read_bytes()).hexdigest()
    assert torch.equal(network.network.backbone.features[0].weight, squeezenet["features.0.weight"])
    served.unlink()
    assert load_imagenet("squeezenet1_0", build("squeezenet1_0"), IMAGENET) == facts
    cached.write_bytes(cached.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match=f"{cached} is damaged.*Delete it"):
        load_imagenet("squeezenet1_0", build("squeezenet1_0"), IMAGENET)


def test_a_download_of_other_bytes_is_not_kept(served, hub):
    wrong = served.rename(served.with_name("squeezenet1_0-00000000.pth"))
    folder = hub(wrong.as_uri())
    with pytest.raises(
        CheckpointError, match=r"cannot be downloaded from file:.*invalid hash value"
    ):
        load_imagenet("squeezenet1_0", build("squeezenet1_0"), IMAGENET)
    assert list(folder.iterdir()) == []


def test_without_a_connection_one_sentence_offers_the_choices(hub):
    hub("http://127.0.0.1:9/squeezenet1_0-b66bff10.pth")
    with pytest.raises(CheckpointError) as raised:
        load_imagenet("squeezenet1_0", build("squeezenet1_0"), IMAGENET)
    said = str(raised.value)
    assert "http://127.0.0.1:9/squeezenet1_0-b66bff10.pth" in said and "\n" not in said
    for choice in ("--weights FILE", "--weights none", "connect to the internet"):
        assert choice in said


IMPORTS = """
import sys
import torch
import rbcore
assert "torchvision" not in sys.modules, "rbcore imports torchvision, which takes a second"
library = torch.library.Library("torchvision", "FRAGMENT")
library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
from rbcore.models.torchvision_import import torchvision_models
with torch.device("meta"):
    assert torchvision_models() is torchvision_models()
assert torch.ops.torchvision.nms and torch.ops.torchvision.qnms
"""


@pytest.mark.slow
def test_torchvision_is_imported_late_and_what_it_has_is_not_declared_again():
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
