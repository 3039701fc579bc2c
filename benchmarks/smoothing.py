"""Randomized smoothing beside the forward pass alone: the same network, folding, layout, format.

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
from typing import Annotated

import numpy as np
import torch
import typer
from scipy import stats
from torch import Tensor, nn

from benchmarks.results import Results, Row, page, save
from benchmarks.subjects import (
    Cifar,
    Faces,
    Subject,
    Threads,
    Weights,
    engine_for,
    load_cifar,
    load_faces,
)
from rbcore.distances.engine import Estimates
from rbcore.distances.networks import CountedNetwork
from rbcore.distances.smoothing.voting import voting_network
from rbcore.outputs.modes import evaluating

SIZES = (16, 32, 64, 128, 256, 512)
PRECISIONS = ("float32", "bfloat16")
SECONDS_A_TURN = 0.5
SHARE, SPEEDUP = 0.95, 2.5
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


@dataclass
class Job:
    """Something to time: what it does, the evaluations that it makes, what each turn took."""

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
    """Return a job that sends the same images through a network for about `SECONDS_A_TURN`."""

    def act(turns: int) -> None:
        with torch.inference_mode():
            for _ in range(turns):
                network(images)

    act(1)
    started = clock()
    act(1)
    turns = max(1, round(SECONDS_A_TURN / max(clock() - started, 1e-6)))
    return Job(partial(act, turns), turns * len(images), [])


def measure(
    subject: Subject, n_certified: int, n: int, turns: int, clock: Callable[[], float]
) -> dict[str, list[Row]]:
    """Return the table and the claims of one network, by their titles."""
    jobs: dict[tuple[str, str], Job] = {}
    found: dict[str, Estimates] = {}
    images, labels = subject.images, subject.labels
    engines = {
        precision: engine_for(
            subject.network, images, labels, "smoothing", {"precision": precision, "n": n}
        )
        for precision in PRECISIONS
    }
    rows = np.arange(n_certified)

    def certify(precision: str) -> None:
        found[precision] = engines[precision].estimate(rows)

    image = torch.as_tensor(subject.images[:1])
    with evaluating(subject.network, frozen=True):
        for precision in PRECISIONS:
            voter = voting_network(CountedNetwork(subject.network), image, precision)
            for size in SIZES:
                many = image.expand(size, -1, -1, -1).contiguous(memory_format=torch.channels_last)
                jobs[precision, f"forward, {size} a pass"] = forward_job(voter, many, clock)
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
    rows = []
    for (precision, what), job in jobs.items():
        low, high = np.quantile(job.rates, [0.25, 0.75])
        own = {"network computes in": precision, "what": what}
        spread = {"quartiles": f"{low:,.0f} to {high:,.0f}"}
        rows.append({**own, "evaluations/s, median": job.rate, **spread})
    title = (
        f"{subject.title}, n = {n}, {n_certified} images, {turns} turns, "
        f"{torch.get_num_threads()} threads"
    )
    radii = compare_radii(found["float32"], found["bfloat16"], n)
    return {title: rows, f"{subject.title}: claims": [*claims_of(jobs), radii]}


def claims_of(jobs: dict[tuple[str, str], Job]) -> list[Row]:
    """Return what is required and what was measured."""
    whole, best, rows = {}, {}, []
    for precision in PRECISIONS:
        own = {what: job for (of, what), job in jobs.items() if of == precision}
        forward = [job for what, job in own.items() if what.startswith("forward, ")]
        best[precision] = max(forward, key=lambda job: job.rate)
        whole[precision] = next(job for what, job in own.items() if what.startswith("smoothing"))
        share = whole[precision].rate / best[precision].rate
        paired = float(np.median(whole[precision].rates / best[precision].rates))
        what = f"{precision}: smoothing over the forward's best rate (turn by turn: {paired:.3f})"
        rows.append(claim(what, share, SHARE))
    loaded = next(job for (_, what), job in jobs.items() if "loaded" in what)
    over = "bfloat16 over float32"
    return [
        *rows,
        claim(f"{over}, whole method", whole["bfloat16"].rate / whole["float32"].rate, SPEEDUP),
        claim(f"{over}, forward's best rates alone", best["bfloat16"].rate / best["float32"].rate),
        claim(
            "bfloat16 smoothing over the float32 forward of the network as loaded",
            whole["bfloat16"].rate / loaded.rate,
        ),
    ]


def claim(what: str, value: float, required: float | None = None) -> Row:
    """Return one figure beside what is required, if anything is."""
    if required is None:
        return {"what": what, "measured": value}
    said = "reached" if value >= required else "NOT reached"
    return {"what": what, "measured": value, "required": required, "": said}


def compare_radii(full: Estimates, half: Estimates, n: int, alpha: float = 0.001) -> Row:
    """Return how many bfloat16 vote shares lie in the interval of the float32 ones."""
    same = (full.columns["smoothed_prediction"] == half.columns["smoothed_prediction"]) & (
        full.status == "certified"
    )
    if not same.any():
        return {"what": "bfloat16 beside float32: no image is certified for one class by both"}
    votes, others = full.columns["votes"][same], half.columns["votes"][same]
    intervals = [
        stats.binomtest(int(count), n).proportion_ci(1 - alpha, method="exact") for count in votes
    ]
    inside = [
        one.low <= other / n <= one.high for one, other in zip(intervals, others, strict=True)
    ]
    moved = np.abs(full.distance - half.distance)[same]
    certified = int((full.status == "certified").sum())
    return {
        "what": (
            f"bfloat16 beside float32, same draws: {int(same.sum())} of {certified} certified "
            f"images keep their class; of these {sum(inside)} have a vote share inside the float32 "
            f"one's {1 - alpha:.1%} interval (Clopper-Pearson); largest change of p_A "
            f"{np.abs(votes - others).max() / n:.4f}, of a radius {moved.max():.4f} (median "
            f"{np.median(moved):.4f})"
        )
    }


def report(results: Results) -> str:
    """Return the tables and the claims in Markdown."""
    said = f"{results.facts['capability']}, {results.facts['clock']} clock."
    return f"{said} {page(results, {'evaluations/s, median': ',.0f', 'measured': '.3f'})}"


def main(
    cifar: Cifar,
    weights: Weights,
    utkface: Faces = None,
    images: Annotated[int, typer.Option(help="Images certified in each turn.")] = 8,
    n: Annotated[int, typer.Option(help="Noisy copies of an image that are counted.")] = 1000,
    turns: Annotated[int, typer.Option(help="Turns of each.")] = 7,
    threads: Threads = 2,
    clock: Annotated[str, typer.Option(help="wall or cpu.")] = "wall",
) -> None:
    """Measure each network."""
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("RBCORE_CACHE", folder)
        subjects = [load_cifar(cifar, weights, images, batch=128)]
        subjects += [load_faces(utkface, images, batch=128)] if utkface else []
        tables: dict[str, list[Row]] = {}
        for subject in subjects:
            tables |= measure(subject, images, n, turns, CLOCKS[clock])
    capability = torch.backends.cpu.get_cpu_capability()
    print(report(save("smoothing", tables, clock=clock, capability=capability)))


if __name__ == "__main__":
    typer.run(main)
