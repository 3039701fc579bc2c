"""Weights are matched by their names: prefixes, several sets, and what is said of those
that do not fit.
"""

import argparse
import zipfile

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from rbcore.datasets import load_dataset
from rbcore.errors import CheckpointError, ModelError
from rbcore.models import MODELS, build_network
from rbcore.models.torchvision_import import torchvision_models
from rbcore.runs.foreign_weights import read_weights, register_builder
from rbcore.runs.importing import import_weights
from rbcore.runs.loading import load_model
from rbcore.runs.weight_matching import choose_weights, fit_state_dict

LINEAR = "logistic_regression"
TORCHVISION = [spec.name for spec in MODELS.values() if spec.imagenet]


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


@pytest.fixture(scope="module")
def weights(digits):
    return dict(load_model(LINEAR, digits).network.get_submodule("network").state_dict())


def saved(content, folder, name="w.pth"):
    torch.save(content, folder / name)
    return folder / name


@pytest.mark.parametrize("prefix", ["", "module.", "model.net."])
@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvisions_own_names_fit_the_five_networks(name, prefix, tmp_path):
    """None did: the names lack our prefix 'backbone.'."""
    with torch.device("meta"):
        network = build_network(name, (3, 64, 64), 7, (0.5,) * 3, (0.5,) * 3).get_submodule(
            "network"
        )
        theirs = torchvision_models().get_model(name, weights=None, num_classes=7).state_dict()
    found = choose_weights(
        {"": {prefix + key: value for key, value in theirs.items()}}, network, tmp_path, name
    )
    assert found.tensors.keys() == network.state_dict().keys()
    assert all(found.tensors[f"backbone.{key}"] is value for key, value in theirs.items())
    assert any("'backbone.' put before them" in note for note in found.notes)


def test_torchvisions_weights_give_torchvisions_logits(tmp_path):
    torch.manual_seed(0)
    theirs = torchvision_models().get_model("squeezenet1_0", weights=None, num_classes=2).eval()
    path = saved(
        {"state_dict": {f"module.{key}": value for key, value in theirs.state_dict().items()}},
        tmp_path,
    )
    network = build_network("squeezenet1_0", (3, 32, 32), 2, (0.0,) * 3, (1.0,) * 3).eval()
    inner = network.get_submodule("network")
    fit_state_dict(
        inner,
        choose_weights(read_weights(path), inner, path, "squeezenet1_0").tensors,
        path,
        "squeezenet1_0",
    )
    images = torch.rand(3, 3, 32, 32)
    torch.testing.assert_close(network(images), theirs(images))


def test_of_several_sets_the_networks_own_is_read_unless_another_is_chosen_and_both_are_said(
    digits, weights, tmp_path
):
    average = {name: tensor * 0.5 for name, tensor in weights.items()}
    path = saved(
        {
            "model_ema": average,
            "model": weights,
            "optimizer": {"state": {0: {"a": torch.ones(2)}}, "param_groups": []},
        },
        tmp_path,
    )
    run = import_weights(digits, LINEAR, path, run="raw")
    assert (
        "Read 'model'; the file also holds 'model_ema' that fits: choose by --weights-key."
        in run.facts.notes
    )
    other = import_weights(digits, LINEAR, path, run="ema", weights_key="model_ema")
    assert other.facts.recipe.weights_key == "model_ema"
    ours, half = (
        load_model(LINEAR, digits, run=name).network.get_submodule("network.1").weight
        for name in ("raw", "ema")
    )
    torch.testing.assert_close(half, ours / 2)
    with pytest.raises(
        CheckpointError,
        match="holds no weights under 'emma', only under 'model_ema', 'model'; choose",
    ):
        import_weights(digits, LINEAR, path, run="x", weights_key="emma")


def test_two_networks_under_two_prefixes_are_two_sets(weights, tmp_path):
    both = {f"student.{k}": v for k, v in weights.items()} | {
        f"teacher.{k}": v * 2 for k, v in weights.items()
    }
    network = build_network(LINEAR, (1, 8, 8), 10, (0.5,), (0.5,)).get_submodule("network")
    first = choose_weights({"": both}, network, tmp_path, LINEAR)
    assert (
        torch.equal(first.tensors["1.weight"], weights["1.weight"])
        and "'teacher' that fits" in first.notes[0]
    )
    second = choose_weights({"": both}, network, tmp_path, LINEAR, "teacher")
    assert torch.equal(second.tensors["1.weight"], 2 * weights["1.weight"])


def test_what_lies_beside_weights_is_read_as_nothing(digits, weights, tmp_path):
    beside = {
        "args": argparse.Namespace(lr=0.1),
        "best": np.float64(0.9),
        "mean": np.arange(3.0),
        "where": tmp_path,
    }
    run = import_weights(digits, LINEAR, saved({"state_dict": weights, **beside}, tmp_path))
    assert run.facts.test_accuracy > 0.9 and run.facts.warning == ""


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
            "is a Git LFS pointer and not the file",
        ),
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", "is a web page; download the file"),
        (b"\x89HDF\r\n\x1a\n", "is an HDF5 file, as Keras writes"),
        (b"\x1f\x8b\x08\x00", "is a compressed file; unpack it first"),
        (b"", "is empty; download or copy it again"),
        (b"}r\x00\x00\x00\x08.", "is not plain weights; nothing in it was run"),
    ],
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_what_is_no_checkpoint_is_named(content, said, suffix, tmp_path):
    path = tmp_path / f"w{suffix}"
    path.write_bytes(content)
    if content.startswith(b"}") and suffix == ".safetensors":
        said = "is not a readable safetensors file"
    with pytest.raises(CheckpointError, match=said) as raised:
        read_weights(path)
    assert str(raised.value).isprintable()


def test_other_files_are_named_too(digits, weights, tmp_path):
    whole = saved({"state_dict": weights}, tmp_path)
    cut = tmp_path / "cut.pth"
    cut.write_bytes(whole.read_bytes()[:-50])
    with pytest.raises(CheckpointError, match="it is truncated"):
        read_weights(cut)
    with zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w/data.pkl", b"\x80\x02}.")
        archive.writestr("w/data/0", bytes(10**7))
    with pytest.raises(CheckpointError, match="claims to hold more than the file has bytes"):
        read_weights(tmp_path / "bomb.pth")
    parameters = [nn.Parameter(torch.ones(2))]
    optimizer = torch.optim.Adam(parameters)
    parameters[0].sum().backward()
    optimizer.step()
    with pytest.raises(
        CheckpointError, match="holds no named tensors: it is the state of an optimizer"
    ):
        read_weights(saved(optimizer.state_dict(), tmp_path, "o.pth"))
    with pytest.raises(
        CheckpointError,
        match=r"asks for torch.nn.modules.linear.Linear\). Save the network's state_dict",
    ):
        read_weights(saved(nn.Linear(1, 1), tmp_path, "net.pth"))
    long = tmp_path / ("x" * 5000)
    with pytest.raises(CheckpointError, match="does not exist or is not a file") as raised:
        import_weights(digits, LINEAR, long)
    assert len(str(raised.value)) < 400
    with pytest.raises(ModelError, match="is not a Python file"):
        register_builder(long.with_suffix(".py"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.to_sparse(), "sparse"),
        (lambda t: t.to("meta"), "meta, without any numbers"),
        (lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8), "quantized"),
        (lambda t: t.to(torch.complex64), "complex"),
        (lambda t: t.to(torch.int32), "of the type int32"),
        (lambda t: t > 0, "of the type bool"),
    ],
)
@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_tensors_that_are_no_weights_are_refused(digits, weights, tmp_path, change, said):
    path = saved(weights | {"1.weight": change(weights["1.weight"])}, tmp_path)
    with pytest.raises(CheckpointError, match=f"holds 1.weight as a tensor that is {said}"):
        import_weights(digits, LINEAR, path)


def test_half_and_double_weights_are_taken(digits, weights, tmp_path):
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        path = tmp_path / f"{str(dtype)[6:]}.safetensors"
        safetensors.torch.save_file(
            {name: tensor.to(dtype) for name, tensor in weights.items()}, path
        )
        assert import_weights(digits, LINEAR, path).facts.test_accuracy > 0.9


def test_where_most_fits_the_message_names_the_rest_and_not_the_builder(weights, tmp_path):
    network = build_network("small_cnn", (1, 8, 8), 10, (0.5,), (0.5,)).get_submodule("network")
    tensors = dict(network.state_dict())
    tensors["extra"] = tensors.pop(list(tensors)[-1])
    with pytest.raises(
        CheckpointError, match=r"it lacks 7.bias and holds extra besides. 5 of 6 tensors do fit"
    ):
        choose_weights({"": tensors}, network, tmp_path, "small_cnn")
    with pytest.raises(CheckpointError, match="Choose the architecture they were trained with"):
        choose_weights({"": weights}, network, tmp_path, "small_cnn")
