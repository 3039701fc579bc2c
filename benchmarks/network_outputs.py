"""Linear networks whose output comes in every odd form: found against exact, or the refusal.

``python -m benchmarks.network_outputs``. Images and margins
are so made that no bound of [0, 1] clips: the nearest boundary of every image lies inside. The
exact distance is |f_0 - f_1| / |w_0 - w_1|, worked out here in float64.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Annotated, Any

import numpy as np
import torch
import typer
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.results import Results, Row, as_table, save
from benchmarks.subjects import engine_for
from rbcore.distances.networks import CheckedNetwork
from rbcore.errors import MethodError
from rbcore.outputs import read_outputs

SIDE, CHANNELS = 6, 3
N_PIXELS = CHANNELS * SIDE * SIDE
METHODS = {
    "minimal": 1.03,
    "minimal:fast": 1.03,
    "deepfool": 1.06,
    "ddn": 1.06,
    "smoothing noise=0.1 n=1000": 1.0,
}
"""How much of the exact distance each may find at most; a certificate stays below it."""
ATTACK_LEAST = 0.9999
DONE, RIGHT = "what is done", "as it should be"


class Linear(nn.Module):
    """A linear network whose output `form` makes odd.

    ``last`` is its last module, where one belongs to the form.
    """

    def __init__(
        self,
        weights: Tensor,
        biases: Tensor,
        form: Callable[["Linear", Tensor], Any],
        last: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.fc = nn.Linear(weights.shape[1], weights.shape[0])
        self.fc.weight.data.copy_(weights)
        self.fc.bias.data.copy_(biases)
        self.last = last or nn.Identity()
        self.form = form

    def forward(self, images: Tensor) -> Any:
        """Return the odd form of the logits."""
        return self.form(self, images)

    def logits(self, images: Tensor) -> Tensor:
        """Return the logits, shape (n, n_outputs)."""
        found: Tensor = self.fc(images.flatten(1))
        return found


@dataclass(frozen=True)
class Case:
    """A network and what is right of it.

    Attributes
    ----------
    name
        What is odd.
    network
        Takes images as `images_of` makes them; 2 classes.
    expected
        Exact distances, float64, shape (n,); None where it is to be refused.
    outputs
        What the user says the outputs are, if anything.
    """

    name: str
    network: nn.Module
    expected: np.ndarray | None
    outputs: str | None = None


def planes() -> tuple[Tensor, Tensor]:
    """Return weights (2, n_pixels) and biases (2,) whose boundary halves the box [0, 1]."""
    weights = torch.randn(2, N_PIXELS, generator=torch.Generator().manual_seed(0)) / 8
    return weights, -weights.sum(1) / 2


def images_of(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return images (n, channels, side, side), their labels, and the exact distances of `planes`.

    Pixels lie within 0.35 to 0.65 but for a step of at most 0.4 along a unit vector of 108 entries,
    so no way to the boundary clips.
    """
    weights, biases = (part.double().numpy() for part in planes())
    random = np.random.default_rng(0)
    normal = (weights[1] - weights[0]) / np.linalg.norm(weights[1] - weights[0])
    points = random.uniform(0.35, 0.65, (n, N_PIXELS))
    wanted = random.choice([-1, 1], n) * random.uniform(0.05, 0.4, n)
    offset = (biases[1] - biases[0]) / np.linalg.norm(weights[1] - weights[0])
    points += (wanted - points @ normal - offset)[:, None] * normal
    images = points.astype(np.float32)
    margins = images.astype(np.float64) @ (weights[1] - weights[0]) + biases[1] - biases[0]
    distances = np.abs(margins) / np.linalg.norm(weights[1] - weights[0])
    return images.reshape(n, CHANNELS, SIDE, SIDE), (margins > 0).astype(np.int64), distances


def cases(n: int) -> Iterator[Case]:
    """Yield every odd form, those that are taken first, with exact distances of `images_of`."""
    weights, biases = planes()
    expected = images_of(n)[2]
    one = (weights[1:] - weights[:1], biases[1:] - biases[:1])

    def taken(name: str, form: Callable[[Linear, Tensor], Any], **more: Any) -> Case:
        return Case(
            name, Linear(weights, biases, form, more.pop("last", None)).eval(), expected, **more
        )

    def of_one(
        name: str, form: Callable[[Linear, Tensor], Any], last: nn.Module | None = None
    ) -> Case:
        return Case(name, Linear(*one, form, last).eval(), expected)

    def refused(name: str, form: Callable[[Linear, Tensor], Any], **more: Any) -> Case:
        return Case(name, Linear(weights, biases, form).eval(), None, **more)

    yield taken("plain", Linear.logits)
    yield taken(
        "attribute .logits", lambda net, x: SimpleNamespace(logits=net.logits(x), loss=None)
    )
    yield taken("tuple of one", lambda net, x: (net.logits(x),))
    yield taken("list of one", lambda net, x: [net.logits(x)])
    yield taken("dictionary of logits alone", lambda net, x: {"logits": net.logits(x)})
    yield taken("trailing 1x1", lambda net, x: net.logits(x)[:, :, None, None])
    yield taken("float64 output", lambda net, x: net.logits(x).double())
    double = Linear(weights, biases, Linear.logits).double().eval()
    yield Case("float64 network", double, expected)
    yield taken(
        "float64, tuple of one, 1x1", lambda net, x: (net.logits(x).double()[:, :, None, None],)
    )
    yield of_one("one logit", Linear.logits)
    yield of_one("one logit, 1x1", lambda net, x: net.logits(x)[:, :, None, None])
    yield of_one(
        "one logit and a sigmoid module", lambda net, x: net.last(net.logits(x)), nn.Sigmoid()
    )
    yield taken(
        "softmax as the last module", lambda net, x: net.last(net.logits(x)), last=nn.Softmax(1)
    )
    yield taken(
        "one sigmoid a class as the last module",
        lambda net, x: net.last(net.logits(x)),
        last=nn.Sigmoid(),
    )
    yield taken("log-softmax", lambda net, x: net.logits(x).log_softmax(1))
    yield taken(
        "log-sigmoid as the last module",
        lambda net, x: net.last(net.logits(x)),
        last=nn.LogSigmoid(),
    )
    yield taken("logits in [0, 1] on the images", lambda net, x: net.logits(x) / 10 + 0.5)
    yield taken("logits in [0, 1] everywhere, said to be logits", squashed_linear, outputs="logits")
    yield taken(
        "dropout as it should be",
        lambda net, x: functional.dropout(net.logits(x), 0.5, net.training),
    )
    yield refused("softmax inside forward", lambda net, x: net.logits(x).softmax(1))
    yield refused("softmax in percent", lambda net, x: 100 * net.logits(x).softmax(1))
    yield refused(
        "softmax inside forward, said to be logits",
        lambda net, x: net.logits(x).softmax(1),
        outputs="logits",
    )
    yield refused("one sigmoid a class inside forward", lambda net, x: net.logits(x).sigmoid())
    yield refused(
        "one sigmoid a class, said to be probabilities",
        lambda net, x: net.logits(x).sigmoid(),
        outputs="probabilities",
    )
    yield refused("a third output", lambda net, x: nn.functional.pad(net.logits(x), (0, 1)))
    yield refused("1-D", lambda net, x: net.logits(x)[:, 0])
    yield refused("tuple of two", lambda net, x: (net.logits(x), x))
    yield refused("dictionary of more", lambda net, x: {"logits": net.logits(x), "features": x})
    yield refused(
        "(n, k, 2, 2)", lambda net, x: net.logits(x)[:, :, None, None].expand(-1, -1, 2, 2)
    )
    yield refused("squeeze", lambda net, x: net.logits(x).squeeze())
    yield refused("classes instead of logits", lambda net, x: net.logits(x).argmax(1, keepdim=True))
    yield refused("float16", lambda net, x: net.logits(x).half())
    yield refused("complex", lambda net, x: net.logits(x).to(torch.complex64))
    yield refused("NaN", lambda net, x: net.logits(x) * torch.nan)
    yield refused(
        "dropout that stays on", lambda net, x: net.fc(functional.dropout(x.flatten(1), 0.2))
    )
    yield refused("noise of its own", lambda net, x: net.logits(x + 0.5 * torch.randn_like(x)))
    yield refused(
        "BatchNorm with batch statistics",
        lambda net, x: functional.batch_norm(net.logits(x), None, None, training=True),
    )
    yield refused(
        "logits less the batch's mean", lambda net, x: net.logits(x) - net.logits(x).mean(0)
    )
    yield refused("an error", lambda net, x: net.fc(x))


def squashed_linear(network: Linear, images: Tensor) -> Tensor:
    """Return logits that never leave [0, 1] and are linear near the images."""
    return (network.logits(images) / 100 + 0.5).clamp(0, 1)


def ratios(case: Case, spelled: str, n: int) -> np.ndarray:
    """Return found / exact of every image by a method.

    Raises `MethodError` where the network is refused.
    """
    images, labels, exact = images_of(n)
    network = CheckedNetwork(case.network, n_classes=2, outputs=case.outputs)
    engine = engine_for(network, images, labels, spelled, batch_size=32)
    found = engine.estimate(np.arange(n))
    ratio: np.ndarray = found.distance / exact
    return ratio


def is_right(spelled: str, ratio: np.ndarray) -> bool:
    """Whether ratios are what the method promises.

    A certificate may abstain, an attack may not fail.
    """
    if spelled.startswith("smoothing"):
        return bool((ratio[np.isfinite(ratio)] <= 1).all())
    return bool(
        np.isfinite(ratio).all() and ratio.min() >= ATTACK_LEAST and ratio.max() <= METHODS[spelled]
    )


def row(case: Case, n: int) -> Row:
    """Return a row of the table, with whether it is as it should be."""
    images = torch.as_tensor(images_of(n)[0])
    start = {"what the network returns": case.name}
    try:
        notes = " ".join(read_outputs(case.network, images, 2, case.outputs).notes)
        found = {spelled: ratios(case, spelled, n) for spelled in METHODS}
    except MethodError as error:
        return {**start, DONE: f"refused: {error}", RIGHT: case.expected is None}
    cells = {
        spelled: f"{np.nanmin(ratio):.3f} to {np.nanmax(ratio):.3f}"
        for spelled, ratio in found.items()
    }
    good = all(is_right(spelled, ratio) for spelled, ratio in found.items())
    right = {RIGHT: case.expected is not None and good}
    return {**start, DONE: notes or "taken as it is", **cells, **right}


def report(results: Results) -> str:
    """Return the table in Markdown."""
    rows = results.tables["forms"]
    wrong = [row for row in rows if not row[RIGHT]]
    shown = [{title: cell for title, cell in row.items() if title != RIGHT} for row in rows]
    return (
        f"# What a network may return\n\n{results.heading} Linear networks of {N_PIXELS} pixels "
        f"and 2 classes, {results.facts['n']} images whose boundary lies inside [0, 1]; smallest "
        "and largest found / exact distance. Right: an attack from 1.00 to 1.03 (`minimal`) or "
        "1.06 (`deepfool`, `ddn`), a certificate never above 1, or a refusal. Rows that are not: "
        f"**{len(wrong)}** of {len(rows)}.\n\n{as_table(shown)}"
    )


def main(n: Annotated[int, typer.Option(help="Images a case.")] = 200) -> None:
    """Try every form; exit with 1 if one is not as it should be."""
    results = save("network_outputs", {"forms": [row(case, n) for case in cases(n)]}, n=n)
    print(report(results))
    raise SystemExit(not all(row[RIGHT] for row in results.tables["forms"]))


if __name__ == "__main__":
    typer.run(main)
