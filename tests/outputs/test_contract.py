"""What a network may return: every odd form by the benchmark's own cases, every architecture that
ships, and what is decided how.
"""

from dataclasses import asdict

import pytest
import torch
from torch import nn

from benchmarks import network_outputs
from rbcore.errors import MethodError
from rbcore.models import MODELS, build_network
from rbcore.outputs import Reading, adapted, read_outputs
from rbcore.runs.checkpoints import list_runs, load_checkpoint
from rbcore.runs.sidecar import OutputsFacts

N = 6
CASES = list(network_outputs.cases(N))


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_odd_outputs_give_the_exact_distance_or_a_refusal(case):
    """One output for two classes gave certificates up to 5.7 times too far, dropout that stays on 0
    to 5 times the distance.
    """
    for spelled in ("minimal:fast", "deepfool", "smoothing noise=0.1 n=1000"):
        if case.expected is None:
            with pytest.raises(MethodError) as raised:
                network_outputs.ratios(case, spelled, N)
            assert str(raised.value).endswith(".") and "\n" not in str(raised.value)
        else:
            assert network_outputs.is_right(spelled, network_outputs.ratios(case, spelled, N))


def side_of(name):
    return next(side for side in (32, 64, 48, 200, 224, 227) if MODELS[name].takes(side, side))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name == "vgg19")) for name in MODELS]
)
def test_no_untrained_architecture_is_refused(name):
    torch.manual_seed(0)
    side = side_of(name)
    network = build_network(name, (3, side, side), 2, (0.5,) * 3, (0.5,) * 3).eval()
    images = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(1))
    assert read_outputs(network, images, 2, "logits") == Reading()


def test_no_network_that_ships_is_refused_even_where_nothing_is_known_of_it():
    runs = list_runs()
    assert runs
    for run in runs:
        images = torch.rand(4, *run.facts.input_shape, generator=torch.Generator().manual_seed(0))
        network = load_checkpoint(run, "last", torch.device("cpu")).network
        assert read_outputs(network, images, len(run.facts.classes)) == Reading(), run.name


def test_what_is_not_known_to_be_logits_is_asked_and_the_answer_taken():
    network = network_outputs.Linear(
        *network_outputs.planes(), lambda net, x: net.logits(x).sigmoid()
    ).eval()
    images = torch.as_tensor(network_outputs.images_of(N)[0])
    with pytest.raises(
        MethodError, match=r"may be probabilities or logits. Say which on import \(--outputs logits"
    ):
        read_outputs(network, images, 2)
    assert read_outputs(network, images, 2, "logits") == Reading()
    with pytest.raises(MethodError, match="neither 'logits' nor 'probabilities'"):
        read_outputs(network, images, 2, "scores")


def test_a_sigmoid_inside_the_network_is_no_reason_to_refuse_it():
    """A gate of sigmoids, as of squeeze-and-excitation, is not the last module."""

    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.gate, self.fc = nn.Sigmoid(), nn.Linear(12, 3)

        def forward(self, images):
            flat = images.flatten(1)
            return self.fc(self.gate(flat) * flat)

    assert read_outputs(Gated().eval(), torch.rand(4, 3, 2, 2), 3) == Reading()


def test_two_classes_of_one_logit_are_0_and_f_and_nothing_is_changed_in_the_given_network():
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 1), nn.Sigmoid()).eval()
    images = torch.rand(5, 3, 2, 2)
    before = network(images)
    reading = read_outputs(network, images, 2)
    logits = adapted(network, reading)(images)
    torch.testing.assert_close(logits[:, :1], torch.zeros(5, 1))
    torch.testing.assert_close(logits[:, 1:].sigmoid(), before)
    assert torch.equal(network(images), before)
    assert Reading(**OutputsFacts(**asdict(reading)).model_dump()) == reading
    assert adapted(network, reading).state_dict().keys() == network.state_dict().keys()
