"""On a GPU: samples a second of our attack and Foolbox's, evaluations a second of smoothing.

    python -m benchmarks.gpu [--device cuda]

ResNet-20 at 32 pixels (10 classes) and ResNet50 at 224 (1,000 classes), normalization inside.
Weights and images are random: soft random patches, with BatchNorm's statistics taken from them
and the network's own predictions as labels. Rates of passes are those of any weights; how many
passes an attack needs, and so its samples a second, is that of a random network. The ceiling
is what the folded network does alone, at its best size, in the same precision. Without a GPU
it says so and ends.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor, nn

from benchmarks.peers import PEERS, REFERENCE, judge
from benchmarks.results import Results, Row, page, save
from benchmarks.subjects import IMAGENET_MEAN, IMAGENET_STD, engine_for
from rbcore.distances.batching import in_batches, largest_size
from rbcore.distances.engine import Engine
from rbcore.distances.networks import CheckedNetwork, CountedNetwork
from rbcore.distances.smoothing.voting import voting_network
from rbcore.models import build_network
from rbcore.outputs.modes import evaluating

CLASSES = {"resnet20": 10, "resnet50": 1000}
PIXELS = {"resnet20": 32, "resnet50": 224}
IMAGES = {"resnet20": 2048, "resnet50": 256}
SMOOTHED = {"resnet20": 64, "resnet50": 8}
"""Images of which smoothing counts the votes."""
PATCHES = 8
CALIBRATION = 64
FOUND = "found, certified or judged adversarial"
CEILING_SECONDS = 0.5
CLEARLY_SLOWER = 0.8
"""A size this much slower than the best one ends the search."""


@dataclass(frozen=True)
class Ceiling:
    """Images a second of a network alone at its best size: forward, and with backward (0: not)."""

    forward: float
    both: float = 0.0

    def seconds(self, n_forward: int, n_backward: int) -> float:
        """Return how long so many passes would take at the ceiling."""
        backward = max(1 / self.both - 1 / self.forward, 0.0) if n_backward else 0.0
        return n_forward / self.forward + n_backward * backward


@dataclass
class Measured:
    """Seconds of each turn, passes of one, and the share found, certified or judged adversarial."""

    n: int
    seconds: list[float]
    n_forward: int
    n_backward: int
    found: float


def patches(n: int, size: int) -> np.ndarray:
    """Return random images of soft patches, float32 in [0, 1], shape (n, 3, size, size)."""
    coarse = torch.rand(n, 3, PATCHES, PATCHES, generator=torch.Generator().manual_seed(0))
    images: np.ndarray = (
        nn.functional.interpolate(coarse, size=(size, size), mode="bicubic").clamp(0, 1).numpy()
    )
    return images


def random_network(name: str, images: np.ndarray, device: torch.device) -> nn.Module:
    """Return a network of random weights with BatchNorm's statistics of some of the images."""
    torch.manual_seed(0)
    network = build_network(name, images.shape[1:], CLASSES[name], IMAGENET_MEAN, IMAGENET_STD).to(
        device
    )
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the mean over all passes, here of one
            module.reset_running_stats()
    with torch.no_grad():
        network.train()(torch.as_tensor(images[:CALIBRATION], device=device))
    return network.eval()


def predicted(network: nn.Module, images: np.ndarray, device: torch.device) -> np.ndarray:
    """Return the network's classes."""
    with torch.no_grad():
        parts = [
            network(torch.as_tensor(part, device=device)).argmax(1)
            for part in np.array_split(images, -(-len(images) // 64))
        ]
    classes: np.ndarray = torch.cat(parts).cpu().numpy()
    return classes


def finish(device: torch.device) -> None:
    """Wait until the device has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def best_rate(run: Callable[[Tensor], object], image: Tensor, most: int, seconds: float) -> float:
    """Return images a second at the best size of a pass, of powers of two up to `most`."""
    best, size = 0.0, 1
    while size <= most:
        images = image.expand(size, -1, -1, -1).contiguous()
        for _ in range(2):  # the first passes of a size choose kernels
            run(images)
        finish(image.device)
        n, started = 0, time.perf_counter()
        while n == 0 or time.perf_counter() - started < seconds:
            run(images)
            finish(image.device)
            n += 1
        rate = n * size / (time.perf_counter() - started)
        if rate < CLEARLY_SLOWER * best:
            break
        best, size = max(best, rate), 2 * size
    return best


def ceiling(network: nn.Module, image: Tensor, *, backward: bool, seconds: float) -> Ceiling:
    """Measure the network alone: forward in inference mode, and with backward if asked."""

    def forward(images: Tensor) -> None:
        with torch.inference_mode():
            network(images)

    def both(images: Tensor) -> None:
        moved = images.detach().requires_grad_()
        with torch.enable_grad():
            torch.autograd.grad(network(moved).sum(), moved)

    with evaluating(network, frozen=True):
        most = largest_size(network, image)
        rate = best_rate(forward, image, most, seconds)
        return Ceiling(rate, best_rate(both, image, most, seconds) if backward else 0.0)


def measure_ours(engine: Engine, n: int) -> Measured:
    """Estimate the first n distances, engine and all."""
    engine.network.take_counts()
    finish(engine.network.device)
    started = time.perf_counter()
    parts = [engine.estimate(rows) for rows in in_batches(np.arange(n), engine.rows_a_batch)]
    finish(engine.network.device)
    seconds = time.perf_counter() - started
    found = np.isin(np.concatenate([part.status for part in parts]), ("found", "certified")).mean()
    return Measured(n, [seconds], **engine.network.take_counts(), found=float(found))


def measure_foolbox(network: nn.Module, images: Tensor, labels: Tensor, batch: int) -> Measured:
    """Run Foolbox's DeepFool, the bare attack."""
    counted = CountedNetwork(network)
    finish(images.device)
    started = time.perf_counter()
    perturbed = PEERS[REFERENCE].run(counted, images, labels, batch)
    finish(images.device)
    seconds = time.perf_counter() - started
    counts = counted.take_counts()
    return Measured(
        len(images),
        [seconds],
        **counts,
        found=float(np.isfinite(judge(network, images, labels, perturbed)).mean()),
    )


def row(title: str, done: Measured, top: Ceiling) -> Row:
    """Return a row of the table, with the share of the time that its passes take at the ceiling."""
    seconds = float(np.median(done.seconds))
    is_smoothing = title.startswith("smoothing")
    count = done.n_forward if is_smoothing else done.n
    passes = f"{done.n_forward / done.n:.1f}, {done.n_backward / done.n:.1f}"
    return {
        "method": title,
        "n": done.n,
        "s": seconds,
        "evaluations/s" if is_smoothing else "samples/s": count / seconds,
        "forward, backward a sample": passes,
        "share of the ceiling": top.seconds(done.n_forward, done.n_backward) / seconds,
        FOUND: done.found,
    }


@dataclass(frozen=True)
class Amounts:
    """How much is measured: images attacked and certified, noisy copies, turns, seconds a size."""

    n: int
    n_smoothed: int
    draws: int
    repeats: int
    seconds: float


def measure(
    name: str, device: torch.device, amounts: Amounts, methods: list[str]
) -> tuple[str, list[Row]]:
    """Return title and rows of one network: our methods and Foolbox in turns, and the ceilings."""
    n = amounts.n
    images = patches(n, PIXELS[name])
    network = random_network(name, images, device)
    labels = predicted(network, images, device)
    image = torch.as_tensor(images[:1], device=device)
    counted = CountedNetwork(network)
    tops, precisions = {}, ("float32", "bfloat16")
    with evaluating(network, frozen=True):
        for precision in precisions:
            alone = voting_network(counted, image, precision).network
            fitting = image.bfloat16() if precision == "bfloat16" else image
            tops[precision] = ceiling(
                alone, fitting, backward=precision == "float32", seconds=amounts.seconds
            )
    rows = np.arange(n)

    def engine(spelled: str, **given: object) -> Engine:
        checked = CheckedNetwork(network, device=device)
        return engine_for(checked, images, labels, spelled, given)

    engines = {spelled: (engine(spelled), n) for spelled in methods}
    for precision in precisions:
        made = engine("smoothing", n=amounts.draws, precision=precision)
        engines[f"smoothing, {precision}"] = (made, amounts.n_smoothed)
    for made, most in engines.values():
        made.estimate(rows[: min(most, made.batch_size)])  # finds sizes, folds, chooses kernels
    batch = next(iter(engines.values()))[0].batch_size
    tensors = torch.as_tensor(images, device=device), torch.as_tensor(labels, device=device)
    measure_foolbox(network, tensors[0][:batch], tensors[1][:batch], batch)
    done: dict[str, Measured] = {}
    for _ in range(amounts.repeats):
        now = {title: measure_ours(made, most) for title, (made, most) in engines.items()}
        now[PEERS[REFERENCE].title] = measure_foolbox(network, *tensors, batch)
        for title, one in now.items():
            one.seconds = (done[title].seconds if title in done else []) + one.seconds
            done[title] = one
    title = (
        f"{name} at {PIXELS[name]} pixels, {CLASSES[name]} classes, random weights and images, "
        f"passes of {batch}"
    )
    ceilings = [
        {"method": "ceiling: forward", "samples/s": tops["float32"].forward},
        {"method": "ceiling: forward and backward", "samples/s": tops["float32"].both},
        {"method": "ceiling: forward in bfloat16", "samples/s": tops["bfloat16"].forward},
    ]
    of = {title: tops["bfloat16" if title.endswith("bfloat16") else "float32"] for title in done}
    return title, [*ceilings, *(row(title, one, of[title]) for title, one in done.items())]


def report(results: Results) -> str:
    """Return one table a network in Markdown."""
    forms = {"s": ".2f", "samples/s": ",.1f", "evaluations/s": ",.1f"}
    forms |= {"share of the ceiling": ".1%", FOUND: ".1%"}
    said = f"{results.facts['device']}, TF32 in convolutions: {results.facts['tf32']}."
    return f"{said} {page(results, forms)}"


def main(
    device: Annotated[
        str, typer.Option(help="cuda, cuda:1, or cpu to try the script out.")
    ] = "cuda",
    models: Annotated[str, typer.Option(help="Networks.")] = "resnet20,resnet50",
    methods: Annotated[str, typer.Option(help="Our methods.")] = "minimal:fast,minimal",
    n: Annotated[
        int | None,
        typer.Option(help="Images attacked; 2,048 at 32 pixels and 256 at 224 where not given."),
    ] = None,
    smoothed: Annotated[
        int | None, typer.Option(help="Images certified; 64 and 8 where not given.")
    ] = None,
    draws: Annotated[
        int,
        typer.Option(help="Noisy copies an image, besides the 100 that the class is guessed from."),
    ] = 10_000,
    repeats: Annotated[int, typer.Option(help="Turns; medians count.")] = 3,
    seconds: Annotated[
        float, typer.Option(help="Time for each size of the ceiling.")
    ] = CEILING_SECONDS,
) -> None:
    """Measure each network."""
    if device != "cpu" and not torch.cuda.is_available():
        print("no GPU")
        return
    where = torch.device(device)
    tables = {}
    for name in models.split(","):
        sizes = n or IMAGES[name], smoothed or SMOOTHED[name]
        amounts = Amounts(*sizes, draws, repeats, seconds)
        title, rows = measure(name, where, amounts, methods.split(","))
        tables[title] = rows
    facts = {
        "device": torch.cuda.get_device_name(where) if where.type == "cuda" else "CPU",
        "tf32": torch.backends.cudnn.allow_tf32,
    }
    print(report(save("gpu", tables, **facts)))


if __name__ == "__main__":
    typer.run(main)
