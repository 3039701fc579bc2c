import numpy as np
import pytest
import torch

from rbcore.datasets import load_dataset
from rbcore.errors import Cancelled, CheckpointError, StoreError, TrainingError, UnknownNameError
from rbcore.runs.checkpoints import list_runs, run_folder
from rbcore.runs.loading import load_model
from rbcore.training import recipes
from rbcore.training import train as training
from rbcore.training.loop import Trainer, augmented
from rbcore.training.recipes import PAPER, Recipe, kept_epochs, recipe_for
from rbcore.training.request import TrainingRequest
from rbcore.training.train import train


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


def train_quickly(digits, **options):
    return train("logistic_regression", digits, **{"epochs": 3, "run": "test"} | options)


def without_seconds(run):
    """The history of a run without what depends on the hour: how long each epoch took."""
    return [record.model_dump(exclude={"seconds"}) for record in run.facts.history]


def test_a_run_learns_and_its_sidecars_say_so(digits):
    run = train_quickly(digits)
    assert run.epochs == (1, 2, 3) and run.is_complete and run.is_plain
    sidecars = [run.sidecar(epoch) for epoch in run.epochs]
    losses = [facts.train_loss for facts in sidecars]
    assert losses == sorted(losses, reverse=True)
    last = sidecars[-1]
    assert last.test_accuracy > 0.9 and last.train_accuracy > 0.9
    assert (last.n_train, last.n_test) == (1437, 360)
    assert last.dataset_fingerprint == digits.fingerprint and last.seed == 0 and last.size == 8
    assert last.recipe.epochs == 3 and last.recipe.momentum == 0.9
    model = load_model("logistic_regression", digits, run="test")
    rows = digits.rows("test")
    predicted = model.network(torch.as_tensor(digits.pixels(rows))).argmax(1).numpy()
    assert np.mean(predicted == digits.labels(rows)) == pytest.approx(last.test_accuracy)


def test_the_seed_fixes_everything_and_the_callers_randomness_is_left_alone(digits):
    torch.manual_seed(123)
    expected = torch.rand(1)
    torch.manual_seed(123)
    one = train_quickly(digits, run="one")
    assert torch.equal(torch.rand(1), expected)
    other = train_quickly(digits, run="other")
    for epoch in one.epochs:
        assert one.sidecar(epoch).sha256 == other.sidecar(epoch).sha256
    third = train_quickly(load_dataset("digits", seed=1), run="third")
    assert third.sidecar(3).sha256 != one.sidecar(3).sha256


def test_the_update_is_stochastic_gradient_descent_with_momentum(digits):
    """One epoch of the modern recipe by hand, in numpy, for the linear model: same weights."""
    run = train("logistic_regression", digits, epochs=1, run="hand")
    torch.manual_seed(0)
    network = training.build_network(
        "logistic_regression", digits.input_shape, 10, digits.mean, digits.std
    )
    state = {name: tensor.double().numpy().copy() for name, tensor in network.state_dict().items()}
    weights, biases = state["network.1.weight"], state["network.1.bias"]
    recipe = recipe_for("digits", "logistic_regression", epochs=1)
    first_epoch = np.random.SeedSequence([0, 1]).spawn(2)[0]
    order = np.random.default_rng(first_epoch).permutation(np.sort(digits.rows("train")))
    velocity = [np.zeros_like(weights), np.zeros_like(biases)]
    for step, start in enumerate(range(0, len(order), recipe.batch_size)):
        batch = order[start : start + recipe.batch_size]
        x = (
            digits.pixels(batch).reshape(len(batch), -1).astype(float) - digits.mean[0]
        ) / digits.std[0]
        logits = x @ weights.T + biases
        probabilities = np.exp(logits - logits.max(1, keepdims=True))
        probabilities /= probabilities.sum(1, keepdims=True)
        probabilities[np.arange(len(batch)), digits.labels(batch)] -= 1
        decay = recipe.weight_decay
        gradients = [
            probabilities.T @ x / len(batch) + decay * weights,
            probabilities.mean(0) + decay * biases,
        ]
        velocity = [recipe.momentum * v + g for v, g in zip(velocity, gradients, strict=True)]
        rate = recipe.rate(step, 45)
        weights, biases = weights - rate * velocity[0], biases - rate * velocity[1]
    trained = load_model("logistic_regression", digits, run=run.name).network.state_dict()
    np.testing.assert_allclose(trained["network.1.weight"].numpy(), weights, atol=1e-4)
    np.testing.assert_allclose(trained["network.1.bias"].numpy(), biases, atol=1e-4)


@pytest.mark.parametrize(
    ("keep", "n_epochs", "expected"),
    [
        ("all", 4, (1, 2, 3, 4)),
        ("3", 50, (1, 25, 50)),
        ("3", 5, (1, 3, 5)),
        ("3", 2, (1, 2)),
        ("1", 9, (9,)),
        ("2", 9, (1, 9)),
        ("5", 9, (1, 3, 5, 7, 9)),
        ("99", 3, (1, 2, 3)),
    ],
)
def test_which_epochs_are_kept(keep, n_epochs, expected):
    assert kept_epochs(keep, n_epochs) == expected


@pytest.mark.parametrize("keep", ["0", "some", "-1", "2.5"])
def test_a_keep_without_meaning_is_refused(keep):
    with pytest.raises(TrainingError, match=f"keep='{keep}'"):
        kept_epochs(keep, 10)


def test_only_the_kept_epochs_lie_on_disk(digits, cache):
    run = train_quickly(digits, keep="1")
    assert run.epochs == (3,)
    assert len(list(cache.rglob("*.safetensors"))) == 1


def test_announced_bytes_are_about_what_is_written(digits, cache):
    run = train_quickly(digits)
    written = sum(path.stat().st_size for path in run.folder.iterdir())
    request = TrainingRequest("logistic_regression", epochs=3)
    assert written <= training.announced_bytes(request, digits) <= 4 * written


def test_a_finished_run_is_not_trained_again(digits):
    train_quickly(digits)
    calls = []
    train_quickly(digits, progress=lambda *call: calls.append(call))
    assert not calls


def test_a_name_that_is_taken_by_another_run_is_refused(digits):
    train_quickly(digits)
    with pytest.raises(CheckpointError, match="exists with another recipe .*Choose another name"):
        train_quickly(digits, epochs=2)
    with pytest.raises(CheckpointError, match="exists with another dataset fingerprint"):
        train_quickly(load_dataset("digits", seed=5))


def test_progress_counts_steps_and_cancel_keeps_finished_epochs(digits):
    calls = []
    with pytest.raises(Cancelled):
        train_quickly(
            digits, progress=lambda *call: calls.append(call), cancel=lambda: len(calls) >= 100
        )
    assert len(calls) == 100 and calls[-1][:2] == (100, 3 * 45)
    (run,) = [run for run in list_runs("digits", "logistic_regression") if run.name == "test"]
    assert run.epochs == (1, 2) and not run.is_complete
    assert train_quickly(digits).is_complete


def test_a_loss_that_explodes_is_said(digits, monkeypatch):
    wild = Recipe("modern", epochs=1, batch_size=32, learning_rate=1e30)
    monkeypatch.setattr(recipes, "MODERN", (("*", "*", wild),))
    with pytest.raises(TrainingError, match="no longer finite in epoch 1; lower the learning rate"):
        train("small_cnn", digits, run="wild")


def train_until(model, digits, n_steps, **options):
    """Cancel a training, run ``cut``, after so many steps."""
    calls = []
    with pytest.raises(Cancelled):
        train(
            model,
            digits,
            run="cut",
            progress=lambda *call: calls.append(call),
            cancel=lambda: len(calls) > n_steps,
            **options,
        )


def test_a_killed_run_goes_on_and_ends_with_the_same_bits(digits):
    """Cancelled in the middle of the third epoch: the first two are not trained again, and the
    weights are the same.
    """
    options = {"epochs": 4, "keep": "1"}
    whole = train("small_cnn", digits, run="whole", **options)
    train_until("small_cnn", digits, 110, **options)
    again = []
    resumed = train(
        "small_cnn", digits, run="cut", progress=lambda *call: again.append(call[0]), **options
    )
    assert again[0] == 2 * 45 + 1 and again[-1] == 4 * 45
    assert resumed.sidecar("last").sha256 == whole.sidecar("last").sha256
    assert [record.epoch for record in resumed.facts.history] == [1, 2, 3, 4]
    assert without_seconds(resumed) == without_seconds(whole)
    assert not list(resumed.folder.glob("resume*"))


def test_damaged_weights_are_not_trained_on(digits):
    """A bit of what is kept to resume was flipped: the run starts over, and ends with the same bits
    as one that was never stopped.
    """
    options = {"epochs": 2, "keep": "1"}
    whole = train("logistic_regression", digits, run="whole", **options)
    train_until("logistic_regression", digits, 60, **options)
    (kept,) = run_folder("digits", "logistic_regression", "cut").glob("resume*")
    content = bytearray(kept.read_bytes())
    content[-3] ^= 64  # a weight
    kept.write_bytes(bytes(content))
    resumed = train("logistic_regression", digits, run="cut", **options)
    assert resumed.sidecar("last").sha256 == whole.sidecar("last").sha256


def test_what_is_kept_of_another_run_is_not_taken_up(digits):
    with pytest.raises(Cancelled):
        seen = []
        train_quickly(
            digits,
            keep="1",
            progress=lambda *call: seen.append(call),
            cancel=lambda: len(seen) > 50,
        )
    fresh = []
    train_quickly(
        load_dataset("digits", seed=1), keep="1", progress=lambda *call: fresh.append(call[0])
    )
    assert fresh[0] == 1


def test_a_batch_that_does_not_fit_is_split_and_counts_the_same(digits, monkeypatch):
    """A network that runs out of memory above 10 images ends where one that does not ends."""
    roomy = train_quickly(digits, epochs=1, run="roomy")
    build = training.build_network

    def build_cramped(*arguments):
        network = build(*arguments)

        def refuse(module, inputs):
            if module.training and len(inputs[0]) > 10:
                raise torch.OutOfMemoryError("no room")

        network.register_forward_pre_hook(refuse)
        return network

    monkeypatch.setattr(training, "build_network", build_cramped)
    cramped = train_quickly(digits, epochs=1, run="cramped")
    one, other = (
        load_model("logistic_regression", digits, run=run.name).network.state_dict()
        for run in (roomy, cramped)
    )
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=1e-4, atol=1e-5)
    monkeypatch.setattr(
        training, "build_network", lambda *arguments: _never_fits(build(*arguments))
    )
    with pytest.raises(TrainingError, match="Not even one image"):
        train_quickly(digits, run="hopeless")


def _never_fits(network):
    def refuse(module, inputs):
        if module.training:
            raise torch.OutOfMemoryError("no room")

    network.register_forward_pre_hook(refuse)
    return network


def test_augmentation_mirrors_and_shifts_whole_images():
    random = np.random.default_rng(0)
    images = torch.arange(2.0 * 6 * 6).view(1, 2, 6, 6).expand(200, 2, 6, 6) / 72
    recipe = Recipe("modern", 1, 1, 0.1, flip=True, shift=1 / 6)
    changed = augmented(images, recipe, random)
    assert changed.shape == images.shape
    padded = torch.nn.functional.pad(images[:1], (1, 1, 1, 1), mode="replicate")[0]
    allowed = {
        tuple(image[:, row : row + 6, column : column + 6].flatten().tolist())
        for image in (padded, padded.flip(2))
        for row in range(3)
        for column in range(3)
    }
    seen = {tuple(image.flatten().tolist()) for image in changed}
    assert len(allowed) == 18 and seen <= allowed and len(seen) > 14
    plain = augmented(images, Recipe("paper", 1, 1, 0.1), random)
    assert plain is images


def test_the_cosine_schedule_rises_and_falls_to_zero():
    recipe = Recipe("modern", 1, 1, 0.4, schedule="cosine")
    rates = [recipe.rate(step, 200) for step in range(200)]
    assert max(rates) == pytest.approx(0.4) and rates.index(max(rates)) == 9
    assert rates[0] == pytest.approx(0.04) and rates[-1] < 0.001
    assert rates[9:] == sorted(rates[9:], reverse=True)
    assert rates[9 + 96] == pytest.approx(0.2, abs=0.01)
    assert {PAPER.rate(step, 200) for step in range(200)} == {5e-4}


@pytest.mark.parametrize("epochs", [0, -1, 10_001])
def test_an_impossible_number_of_epochs_is_refused(digits, epochs):
    with pytest.raises(TrainingError, match=f"{epochs} epochs"):
        train_quickly(digits, epochs=epochs)


def test_a_cache_that_cannot_be_written_is_said_before_training(digits, tmp_path, monkeypatch):
    (tmp_path / "blocked").write_text("")
    monkeypatch.setenv("RBCORE_CACHE", str(tmp_path / "blocked"))
    calls = []
    with pytest.raises(StoreError, match="Cannot write .*blocked"):
        train_quickly(digits, progress=lambda *call: calls.append(call))
    assert not calls


def test_the_papers_recipe_is_the_papers():
    paper = recipe_for("anything", "small_cnn", "paper")
    assert (paper.epochs, paper.batch_size, paper.learning_rate, paper.momentum) == (
        50,
        28,
        5e-4,
        0.9,
    )
    assert (paper.weight_decay, paper.schedule, paper.flip, paper.shift) == (
        0,
        "constant",
        False,
        0,
    )
    with pytest.raises(UnknownNameError, match="no recipe 'papr'. Did you mean 'paper'"):
        recipe_for("digits", "small_cnn", "papr")


def test_sidecars_hold_no_path(digits, cache):
    run = train_quickly(digits)
    assert str(cache) not in run.sidecar(1).model_dump_json()


def test_models_without_imagenet_weights_say_so(digits):
    with pytest.raises(CheckpointError, match="small_cnn"):
        train("small_cnn", digits, weights="imagenet", epochs=1)


def test_a_last_batch_of_one_image_is_left_to_the_next_epoch(digits):
    """1,437 images in batches of 359 leave one, which batch normalization could not train on."""
    trainer = Trainer(
        training.build_network(
            "logistic_regression", digits.input_shape, 10, digits.mean, digits.std
        ),
        digits,
        Recipe("paper", 1, 359, 0.01),
        torch.device("cpu"),
    )
    steps = []
    trainer.train_epoch(1, "", lambda *call: steps.append(call[:2]), lambda: False)
    assert steps[-1] == (4, 4)


@pytest.mark.parametrize("stop_at", [50, 100])
def test_a_run_begun_with_fewer_checkpoints_gets_all_that_are_wanted_now(digits, stop_at):
    """Stopped with keep=1 and started again with keep=all, or extended and stopped: in the end
    every epoch is there.
    """
    seen = []
    with pytest.raises(Cancelled):
        train_quickly(
            digits,
            keep="1",
            progress=lambda *call: seen.append(call),
            cancel=lambda: len(seen) > stop_at,
        )
    assert train_quickly(digits, keep="all").epochs == (1, 2, 3)


def test_an_extended_run_resumes_too(digits):
    train_quickly(digits, keep="1")
    seen, again = [], []
    with pytest.raises(Cancelled):
        train_quickly(
            digits,
            keep="all",
            progress=lambda *call: seen.append(call),
            cancel=lambda: len(seen) > 50,
        )
    run = train_quickly(digits, keep="all", progress=lambda *call: again.append(call[0]))
    assert again[0] == 45 + 1 and run.epochs == (1, 2, 3)


def test_loading_a_model_leaves_the_random_stream_of_a_training_alone(digits):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    load_model("small_cnn", digits)
    assert torch.equal(torch.rand(3), expected)


def test_the_history_can_be_read_while_a_run_trains(digits):
    assert training.newest_history("utkface", "small_cnn") == ("", [])
    lengths = []

    def look(done, total, what):
        if done in (1, 46, 91):
            lengths.append(len(training.newest_history("digits", "logistic_regression")[1]))

    run = train_quickly(digits, keep="1", progress=look)
    assert lengths[1:] == [1, 2]
    assert training.newest_history("digits", "logistic_regression") == (
        "test",
        [record.model_dump(exclude_none=True) for record in run.facts.history],
    )
