"""What the command line and a notebook cost before they say anything: processor time, beside torch.

``python -m benchmarks.import_time`` runs each in a process of its own, one after the other, three
times over, and writes the medians to `benchmarks/import_time.md`. Processor time, so that other
work on the machine matters less; where it is shared, compare with torch's import in the same table.
"""

import datetime
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
N_ROUNDS = 3
NOTEBOOK = """
import rbcore as rb
faces = rb.load_dataset("toyfaces")
model = rb.load_model("small_cnn", faces, epoch="last")
distances = rb.estimate_distances(model, faces, "minimal")
rb.verdict(rb.robustness_bias(distances, by="lighting"))
"""
PROGRAMS = {
    "`import torch`": ["-c", "import torch"],
    "`import rbcore`": ["-c", "import rbcore"],
    "`python -m rbcore --help`": ["-m", "rbcore", "--help"],
    "`python -m rbcore datasets`": ["-m", "rbcore", "datasets"],
    "`python -m rbcore models`": ["-m", "rbcore", "models"],
    "`python -m rbcore methods`": ["-m", "rbcore", "methods"],
    "`python -m rbcore bias digits small_cnn deepfool --by class`": (
        ["-m", "rbcore", "bias", "digits", "small_cnn", "deepfool", "--by", "class"]
    ),
    "from a cold start to the README notebook's verdict": ["-c", NOTEBOOK],
}


def processor_seconds(arguments: list[str], environment: dict[str, str]) -> float:
    """Return user and system time of one run of Python with these arguments."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, *arguments],
        cwd=HERE.parent,
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main() -> None:
    """Measure and write the table."""
    seconds: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "RBCORE_CACHE": cache, "OMP_NUM_THREADS": "1"}
        for _ in range(N_ROUNDS):
            for name, arguments in PROGRAMS.items():
                seconds[name].append(processor_seconds(arguments, environment))
    lines = [
        "# What it costs before anything is said",
        "",
        f"`python -m benchmarks.import_time`, {datetime.date.today()}, Python "
        f"{platform.python_version()}, {os.cpu_count()} cores: processor time in seconds, "
        f"{N_ROUNDS} runs each, interleaved.",
        "",
        "| what | median | least | most |",
        "|---|---|---|---|",
        *(
            f"| {name} | {statistics.median(own):.2f} | {min(own):.2f} | {max(own):.2f} |"
            for name, own in seconds.items()
        ),
    ]
    (HERE / "import_time.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
