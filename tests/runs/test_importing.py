"""What is said and kept of an import: normalization, outputs, accuracy against chance."""

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from rbcore.cli import main as command_line
from rbcore.datasets import load_dataset
from rbcore.distances.estimate import estimate_distances
from rbcore.errors import CheckpointError, MethodError
from rbcore.models import MODELS
from rbcore.runs.foreign_weights import register_builder
from rbcore.runs.importing import import_weights
from rbcore.runs.loading import load_model

LINEAR = "logistic_regression"


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


@pytest.fixture(scope="module")
def weights(digits):
    return dict(load_model(LINEAR, digits).network.get_submodule("network").state_dict())


def test_mean_and_std_are_said_and_units_of_255_refused(digits, weights, tmp_path):
    torch.save(weights, tmp_path / "w.pth")
    run = import_weights(digits, LINEAR, tmp_path / "w.pth", mean=digits.mean)
    assert run.facts.notes[0].startswith(
        f"Images are normalized with mean {digits.mean[0]:g} (as given) and std "
    )
    assert "(the dataset's own), in units of [0, 1]" in run.facts.notes[0]
    for mean, std in (((123.675,), (58.395,)), ((0.5,), (58.395,)), ((123.675,), (0.2,))):
        with pytest.raises(
            CheckpointError,
            match="are not in units of .0, 1.; divide values in units of 255 by 255",
        ):
            import_weights(digits, LINEAR, tmp_path / "w.pth", run="x", mean=mean, std=std)
    with pytest.raises(CheckpointError, match="have to be numbers"):
        import_weights(digits, LINEAR, tmp_path / "w.pth", run="x", mean=(float("nan"),))
    assert (
        import_weights(
            digits, LINEAR, tmp_path / "w.pth", run="raw", mean=(0.0,), std=(1 / 255,)
        ).facts.run
        == "raw"
    )


@pytest.mark.parametrize("change", ["other order", "untrained", "one class only"])
def test_an_accuracy_that_chance_reaches_is_a_warning_on_the_command_line_too(
    digits, weights, tmp_path, change
):
    changed = {
        "other order": {name: tensor.roll(1, 0) for name, tensor in weights.items()},
        "untrained": {name: torch.zeros_like(tensor) for name, tensor in weights.items()},
        "one class only": {"1.weight": weights["1.weight"] * 0, "1.bias": torch.eye(10)[3]},
    }[change]
    torch.save(changed, tmp_path / "w.pth")
    said = CliRunner().invoke(
        command_line.cli, ["import", "digits", LINEAR, str(tmp_path / "w.pth")]
    )
    assert said.exit_code == 0
    for cause in (
        "warning: The test accuracy",
        "no better than chance",
        "order of the classes (here: 0, 1,",
        "mean and std",
        "RGB",
    ):
        assert cause in said.stderr
    assert "Images are normalized with mean" in said.stderr


def test_one_logit_is_offered_as_two_classes_and_reloads_the_same(tmp_path, monkeypatch):
    """Certificates of such a network were up to 5.7 times the true distance."""
    monkeypatch.setattr(MODELS, "_items", dict(MODELS._items))
    (tmp_path / "binary.py").write_text(
        "from torch import nn\ndef build(input_shape, n_classes):\n    return "
        "nn.Sequential(nn.Flatten(), nn.Linear(192, n_classes))\n"
    )
    root = tmp_path / "mine"
    _write_two_classes(root)
    data = load_dataset("folder", root=root, size=8)
    register_builder(tmp_path / "binary.py")
    normal = torch.zeros(3, 8, 8)
    normal[0], normal[1] = -1.0, 1.0
    torch.save({"1.weight": normal.view(1, -1), "1.bias": torch.zeros(1)}, tmp_path / "w.pth")
    run = import_weights(data, "binary", tmp_path / "w.pth", mean=(0.5,) * 3, std=(0.5,) * 3)
    assert run.facts.test_accuracy == 1.0 and run.facts.outputs.n_outputs == 1
    assert "Below 0 the logit stands for 'cat', above 0 for 'dog'." in run.facts.notes
    model = load_model("binary", data, run=run.name)
    rows = data.rows("test")
    images = torch.as_tensor(data.pixels(rows))
    f = (images - 0.5).div(0.5).flatten(1) @ normal.flatten()
    torch.testing.assert_close(model.network(images), torch.stack([torch.zeros_like(f), f], 1))
    exact = dict(
        zip(
            data.samples["sample_id"].iloc[rows],
            (f.abs() / (normal.norm() / 0.5)).tolist(),
            strict=True,
        )
    )
    table = estimate_distances(model, data, "minimal:fast", batch_size=8)
    ratio = table["distance"] / table["sample_id"].map(exact)
    assert len(ratio) == 12 and ratio.between(0.9999, 1.03).all()


def _write_two_classes(root):
    draws = torch.Generator().manual_seed(0)
    for split in ("train", "test"):
        for channel, name in enumerate(("cat", "dog")):
            (root / split / name).mkdir(parents=True)
            for number in range(6):
                pixels = torch.randint(90, 150, (8, 8, 3), generator=draws, dtype=torch.uint8)
                pixels[..., channel] += 20
                Image.fromarray(pixels.numpy()).save(root / split / name / f"{number}.png")


def test_weights_that_give_no_numbers_are_named_by_their_file(digits, weights, tmp_path):
    path = tmp_path / "broken.pth"
    torch.save({name: tensor * float("nan") for name, tensor in weights.items()}, path)
    with pytest.raises(MethodError, match=r"broken\.pth cannot be used: .*NaN"):
        import_weights(digits, LINEAR, path)


def test_a_home_of_nobody_is_a_file_that_does_not_exist(digits):
    with pytest.raises(CheckpointError, match="does not exist"):
        import_weights(digits, LINEAR, "~nobody-of-that-name/net.pth")


def test_a_name_without_end_is_cut_in_the_sentence(digits, weights, tmp_path):
    path = tmp_path / "long.pth"
    torch.save({name + "x" * 100_000: tensor for name, tensor in weights.items()}, path)
    with pytest.raises(CheckpointError, match=r"x{60,80}\.\.\.") as refused:
        import_weights(digits, LINEAR, path)
    assert len(str(refused.value)) < 1000
