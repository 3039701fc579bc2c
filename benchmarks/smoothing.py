"""Randomized smoothing beside the forward pass alone: the same network, folding, layout and number format, in the same run.

    python -m benchmarks.smoothing --cifar FOLDER --weights FILE [--utkface FOLDER]
    [--clock cpu --threads 1]

Evaluations a second of the whole method (clean prediction, noise, forward, votes, bounds) at the
engine's own pass size, over the forward's best rate of any pass size. All take turns, and medians
count. With ``--clock cpu`` seconds are those of the processor, on one thread the measure that other
programs on the machine disturb least. RBCORE_CACHE says where the weights are kept; a temporary
folder is used where it is not set.
"""

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from scipy import stats
from torch import Tensor, nn

from benchmarks.distances import Subject, load_cifar, load_faces
from rbcore.distances import resolve_method
from rbcore.distances.engine import Engine, Estimates
from rbcore.distances.networks import CountedNetwork
from rbcore.distances.samples import Samples
from rbcore.distances.smoothing.voting import voting_network
from rbcore.outputs.modes import evaluating

SIZES = (16, 32, 64, 128, 256, 512)
PRECISIONS = ("float32", "bfloat16")
SECONDS_A_TURN = 0.5
SHARE, SPEEDUP = 0.95, 2.5
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


@dataclass
class Job:
    """Something to time: what it does, the network evaluations it makes, and what each turn took."""

    act: Callable[[], object]
    evaluations: int
    seconds: list[float]

    @property
    def rates(self) -> np.ndarray:
        """Evaluations a second, turn by turn."""
        return self.evaluations / np.array(self.seconds)

    @property
    def rate(self) -> float:
        """Median evaluations a second."""
        return float(np.median(self.rates))


def forward_job(network: nn.Module, images: Tensor, clock: Callable[[], float]) -> Job:
    """Return a job that sends the same images through a network again and again, for about `SECONDS_A_TURN`."""

    def act(turns: int) -> None:
        with torch.inference_mode():
            for _ in range(turns):
                network(images)

    act(1)
    started = clock()
    act(1)
    turns = max(1, round(SECONDS_A_TURN / max(clock() - started, 1e-6)))
    return Job(partial(act, turns), turns * len(images), [])


def smoothing_engine(subject: Subject, precision: str, n: int) -> Engine:
    """Return an engine that certifies the subject's images, at the pass size it finds itself."""
    method, parameters = resolve_method("smoothing", {"precision": precision, "n": n})
    rows = np.arange(len(subject.labels))
    return Engine(
        subject.network,
        Samples.of_arrays(subject.images, subject.labels, rows),
        method,
        parameters,
    )


def measure(
    subject: Subject, n_certified: int, n: int, turns: int, clock: Callable[[], float]
) -> None:
    """Print the table and the verdicts of one network."""
    jobs: dict[tuple[str, str], Job] = {}
    found: dict[str, Estimates] = {}
    engines = {precision: smoothing_engine(subject, precision, n) for precision in PRECISIONS}
    rows = np.arange(n_certified)

    def certify(precision: str) -> None:
        found[precision] = engines[precision].estimate(rows)

    image = torch.as_tensor(subject.images[:1])
    with evaluating(subject.network, frozen=True):
        for precision in PRECISIONS:
            voter = voting_network(CountedNetwork(subject.network), image, precision)
            for size in SIZES:
                images = image.expand(size, -1, -1, -1).contiguous(
                    memory_format=torch.channels_last
                )
                jobs[precision, f"forward, {size} a pass"] = forward_job(voter, images, clock)
            certify(precision)
            method, parameters = engines[precision].method, engines[precision].parameters
            assert method.passes is not None  # noqa: S101 (for mypy)
            evaluations = n_certified * method.passes(parameters)
            jobs[precision, f"smoothing, {engines[precision].batch_size} a pass"] = Job(
                partial(certify, precision), evaluations, []
            )
        plain = image.expand(128, -1, -1, -1).contiguous()
        jobs["float32", "forward as loaded (not folded), 128 a pass"] = forward_job(
            subject.network, plain, clock
        )
        for _ in range(turns):
            for job in jobs.values():
                started = clock()
                job.act()
                job.seconds.append(clock() - started)
    print(
        f"\n**{subject.title}**, n = {n}, {n_certified} images, {turns} turns, "
        f"{torch.get_num_threads()} threads\n"
    )
    print("| network computes in | what | evaluations/s, median | quartiles |\n|---|---|---|---|")
    for (precision, what), job in jobs.items():
        low, high = np.quantile(job.rates, [0.25, 0.75])
        print(f"| {precision} | {what} | {job.rate:,.0f} | {low:,.0f} to {high:,.0f} |")
    report(jobs)
    compare_radii(found["float32"], found["bfloat16"], n)


def report(jobs: dict[tuple[str, str], Job]) -> None:
    """Print what is required and what was measured."""
    whole, best = {}, {}
    for precision in PRECISIONS:
        own = {
            what: job
            for (of, what), job in jobs.items()
            if of == precision and "loaded" not in what
        }
        best[precision] = max(
            (job for what, job in own.items() if what.startswith("forward")),
            key=lambda job: job.rate,
        )
        whole[precision] = next(job for what, job in own.items() if what.startswith("smoothing"))
        share = whole[precision].rate / best[precision].rate
        paired = float(np.median(whole[precision].rates / best[precision].rates))
        verdict(
            f"{precision}: smoothing over the forward's best rate (turn by turn: {paired:.3f})",
            share,
            SHARE,
        )
    verdict(
        "bfloat16 over float32, whole method",
        whole["bfloat16"].rate / whole["float32"].rate,
        SPEEDUP,
    )
    print(
        "- bfloat16 over float32, forward's best rates alone: "
        f"{best['bfloat16'].rate / best['float32'].rate:.2f}"
    )
    loaded = next(job for (_, what), job in jobs.items() if "loaded" in what)
    print(
        "- bfloat16 smoothing over the float32 forward of the network as loaded: "
        f"{whole['bfloat16'].rate / loaded.rate:.2f}"
    )


def verdict(what: str, value: float, required: float) -> None:
    """Print one figure beside what is required."""
    print(
        f"- {what}: {value:.3f}, required {required}: "
        f"{'reached' if value >= required else 'NOT reached'}"
    )


def compare_radii(full: Estimates, half: Estimates, n: int, alpha: float = 0.001) -> None:
    """Print how many bfloat16 vote shares lie in the two-sided Clopper-Pearson interval of the float32 ones."""
    same = (full.columns["smoothed_prediction"] == half.columns["smoothed_prediction"]) & (
        full.status == "certified"
    )
    votes, others = full.columns["votes"][same], half.columns["votes"][same]
    intervals = [
        stats.binomtest(int(count), n).proportion_ci(1 - alpha, method="exact") for count in votes
    ]
    inside = [
        one.low <= other / n <= one.high for one, other in zip(intervals, others, strict=True)
    ]
    moved = np.abs(full.distance - half.distance)[same]
    certified = int((full.status == "certified").sum())
    print(
        f"- bfloat16 beside float32, same draws: {int(same.sum())} of {certified} certified "
        f"images keep their class; of these {sum(inside)} have a vote share inside the float32 "
        f"one's {1 - alpha:.1%} interval; largest change of p_A "
        f"{np.abs(votes - others).max() / n:.4f}, of a radius {moved.max():.4f} (median "
        f"{np.median(moved):.4f})"
    )


def main(
    cifar: Annotated[
        Path,
        typer.Option(help="Folder of CIFAR-10 in the official layout; its checksums are waived."),
    ],
    weights: Annotated[Path, typer.Option(help="State dict of ResNet-20, resnet20-12fca82f.th.")],
    utkface: Annotated[
        Path | None,
        typer.Option(help="Folder of UTKFace; its network is trained if the cache has none."),
    ] = None,
    images: Annotated[int, typer.Option(help="Images certified in each turn.")] = 8,
    n: Annotated[int, typer.Option(help="Noisy copies of an image that are counted.")] = 1000,
    turns: Annotated[int, typer.Option(help="Turns of each.")] = 7,
    threads: Annotated[int, typer.Option(help="Threads of torch.")] = 2,
    clock: Annotated[str, typer.Option(help="wall or cpu.")] = "wall",
) -> None:
    """Print a table and the verdicts for each network."""
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("RBCORE_CACHE", folder)
        print(
            f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}, {clock} "
            f"clock, {time.strftime('%Y-%m-%d')}"
        )
        measure(load_cifar(cifar, weights, images, batch=128), images, n, turns, CLOCKS[clock])
        if utkface:
            measure(load_faces(utkface, images, batch=128), images, n, turns, CLOCKS[clock])


if __name__ == "__main__":
    typer.run(main)
