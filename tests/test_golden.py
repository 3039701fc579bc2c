"""Golden values: names and numbers that users rely on and that must not change unnoticed.

A cache is found again only by its names: the key of a table, the name of a run, the fingerprint of
a dataset. They are observed from outside, as files that calls write or read, so that code can move
freely. `golden.json` holds the expected values. Rewrite it only on purpose, and say why in the
commit::

    python -m tests.test_golden

and read what changed with ``git diff tests/golden.json``.
"""

import hashlib
import io
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import numpy as np
import pandas as pd
import pytest
import torch
import typer
from PIL import Image
from typer.testing import CliRunner

import rbcore as rb
from benchmarks.layouts import LAYOUTS
from rbcore.cli.main import cli
from rbcore.errors import Cancelled

GOLDEN = Path(__file__).with_name("golden.json")
BUNDLED = Path(__file__).resolve().parent.parent / "cache" / "bundled"
LOSSLESS = ("cifar10", "cifar100", "cifar100super", "fashion_mnist")
"""Datasets whose made-up files hold raw pixels, so that no decoder has a say in the fingerprint."""
FURTHER_SETTINGS = ("minimal:fast candidates=4", "smoothing noise=0.25", "deepfool overshoot=0.5")


@contextmanager
def empty_cache() -> Iterator[Path]:
    """Compute into a cache of its own; what ships stays visible below it."""
    with (
        TemporaryDirectory() as folder,
        mock.patch.dict(os.environ, {"RBCORE_CACHE": folder}),
    ):
        yield Path(folder)


def printed(*arguments: str) -> str:
    """Return what a command prints to standard output."""
    result = CliRunner().invoke(cli, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def methods_and_presets() -> list[str]:
    listed = pd.read_csv(io.StringIO(printed("methods", "--format", "csv")), keep_default_na=False)
    return [
        spelled
        for name, presets in zip(listed["name"], listed["presets"], strict=True)
        for spelled in (name, *presets.split())
    ]


def table_keys() -> dict[str, str]:
    """Names of the tables written for one image of a made-up dataset and made-up weights.

    The image is misclassified, so that attacks have nothing to do.
    """
    digits = rb.load_dataset("digits")
    model = rb.load_model("logistic_regression", digits, device="cpu")
    first = {split: int(digits.labels(digits.rows(split)[:1])[0]) for split in ("test", "train")}
    *_, bias = model.network.parameters()
    with torch.no_grad():
        bias[next(label for label in range(10) if label not in first.values())] += 50
    model = replace(model, weights_sha256="a" * 64)
    dataset = replace(digits, fingerprint="b" * 64)

    def key(method: str, split: str = "test", **parameters: object) -> str:
        with empty_cache() as cache:
            rb.estimate_distances(
                *(model, dataset, method), split=split, limit=1, batch_size=4096, **parameters
            )
            (path,) = (cache / "distances").iterdir()
            return path.name

    keys = {method: key(method) for method in (*methods_and_presets(), *FURTHER_SETTINGS)}
    keys["deepfool of the training split"] = key("deepfool", "train")
    assert key("minimal:fast", candidates=4) == keys["minimal:fast candidates=4"]
    return keys


def write_folder(root: Path, size: int) -> Path:
    """Write a folder dataset of two classes and attributes, at the size it is read with."""
    rows = ["file,gender,race,age"]
    for i in range(20):
        name = f"{('cat', 'dog')[i % 2]}/{i}.png"
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(i).integers(0, 256, (size, size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / name)
        rows.append(f"{name},{'fm'[i // 2 % 2]},{('Asian', 'Black')[i // 4 % 2]},{10 + 2 * i}")
    (root / "metadata.csv").write_text("\n".join(rows) + "\n")
    return root


def run_names() -> dict[str, str]:
    """Names of the folders in which trainings begin; each is stopped before its first step.

    The first is a run that ships, so it is found and not begun.
    """
    by_group = rb.Regularizer("class", "8")
    of_digits: dict[str, dict[str, object]] = {
        "plain": {},
        "five epochs": {"epochs": 5},
        "the paper's recipe": {"recipe": "paper"},
        "seed 7": {"seed": 7},
        "validation split": {"validation": 0.2},
        "named": {"run": "my-run"},
        "regularized": {"mitigation": by_group},
        "regularized, every setting": {
            "mitigation": replace(
                by_group, alpha=0.25, tau=1.5, temperature=0.05, form="logit", clip=0.0
            )
        },
        "regularized, worst group": {"mitigation": rb.Regularizer("class", over="worst")},
        "regularized, mean of all groups": {
            "mitigation": rb.Regularizer("class", over="mean", form="margin")
        },
        "adversarial": {"mitigation": rb.AdversarialTraining()},
        "adversarial, every setting": {"mitigation": rb.AdversarialTraining(0.125, steps=7)},
        "re-weighted": {"mitigation": rb.Reweighting("class", "8", 0.5)},
        "re-weighted, all groups": {"mitigation": rb.Reweighting("class")},
        "re-weighted, seed and validation split": {
            "mitigation": rb.Reweighting("class", "8", 0.75),
            "seed": 3,
            "validation": 0.1,
        },
    }
    of_folder: dict[str, dict[str, object]] = {
        "plain": {},
        "seed 1": {"seed": 1},
        "regularized, intersection": {"mitigation": rb.Regularizer("gender*race", over="worst")},
        "re-weighted, bins": {"mitigation": rb.Reweighting("age:15,25", "15-25", 0.5)},
        "re-weighted, a long name": {
            "mitigation": rb.Reweighting(
                "age:12,14,16,18,20,22,24,26,28*race", "12-14 × Asian", 0.5
            )
        },
    }
    names = {f"digits: {what}": run_name("digits", **how) for what, how in of_digits.items()}
    with TemporaryDirectory() as folder:
        root = write_folder(Path(folder) / "16", 16)
        names |= {
            f"folder: {what}": run_name("folder", root=root, size=16, **how)
            for what, how in of_folder.items()
        }
        root = write_folder(Path(folder) / "20", 20)
        names["folder: 20 pixels"] = run_name("folder", root=root, size=20)
    return names


def run_name(
    name: str,
    *,
    root: Path | None = None,
    size: int | None = None,
    seed: int = 0,
    validation: float = 0.0,
    **options: object,
) -> str:
    with empty_cache() as cache:
        data = rb.load_dataset(name, root=root, size=size, seed=seed, validation=validation)
        with suppress(Cancelled):
            model = "logistic_regression"
            return rb.train(model, data, device="cpu", cancel=lambda: True, **options).name
        (folder,) = (cache / "runs" / name / "logistic_regression").iterdir()
        return folder.name


def fingerprints() -> dict[str, str]:
    """Fingerprints of the digits, of made-up files, and of the data that shipped runs saw."""
    found = {
        "digits": rb.load_dataset("digits").fingerprint,
        "digits, seed 1": rb.load_dataset("digits", seed=1).fingerprint,
        "digits, validation split": rb.load_dataset("digits", validation=0.2).fingerprint,
    }
    for name in LOSSLESS:
        with empty_cache() as cache:
            root = LAYOUTS[name].write(cache / "files")
            found[name] = rb.load_dataset(name, root=root, checksum=False).fingerprint
    with empty_cache():
        for run in rb.list_runs():
            found[f"run {run.dataset}/{run.model}/{run.name}"] = run.facts.dataset_fingerprint
    return found


def shipped_files() -> dict[str, str | None]:
    """Every file that ships in the cache, and the SHA-256 of those that hold weights."""
    return {
        path.relative_to(BUNDLED).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.suffix == ".safetensors"
        else None
        for path in sorted(BUNDLED.rglob("*"))
        if path.is_file()
    }


def shipped_tables() -> dict[str, dict[str, str]]:
    """Every table that ships, by what finds it: its file, and the SHA-256 of its rows as CSV."""
    found = {}
    with empty_cache():
        for run in rb.list_runs():
            for epoch in run.epochs:
                for method in rb.stored_methods(run, epoch):
                    stored = rb.stored_distances(run, epoch, method)
                    content = stored.rows.to_csv(index=False).encode()
                    found[f"{run.dataset}/{run.model}/{run.name} epoch {epoch} {method}"] = {
                        "file": stored.path.name,
                        "rows": hashlib.sha256(content).hexdigest(),
                    }
    return dict(sorted(found.items()))


def exported_bias() -> list[str]:
    """The CSV that ``bias`` prints for a shipped table, numbers to ten significant digits."""
    with empty_cache():
        text = printed(
            "bias", "toyfaces", "small_cnn", "deepfool", "--by", "age:15,25,40", "--format=csv"
        )
    table = pd.read_csv(io.StringIO(text))
    return table.to_csv(index=False, float_format="%.10g").splitlines()


def command_line() -> dict[str, list[str]]:
    """Commands, with their arguments in order and their options in alphabetical order."""
    commands = typer.main.get_command(cli).commands
    described = {}
    for name, command in sorted(commands.items()):
        kinds: dict[str, list[str]] = {"argument": [], "option": []}
        for parameter in command.params:
            is_option = parameter.param_type_name == "option"
            names = (*parameter.opts, *parameter.secondary_opts) if is_option else ()
            kinds[parameter.param_type_name].append(" ".join(names) or parameter.metavar)
        described[name] = [*kinds["argument"], *sorted(kinds["option"])]
    return described


SECTIONS: dict[str, Callable[[], object]] = {
    "command line": command_line,
    "table keys": table_keys,
    "run names": run_names,
    "fingerprints": fingerprints,
    "exported bias": exported_bias,
    "shipped files": shipped_files,
    "shipped tables": shipped_tables,
}


@pytest.mark.parametrize("section", SECTIONS)
def test_nothing_changed_by_accident(section):
    assert SECTIONS[section]() == json.loads(GOLDEN.read_text(encoding="utf-8"))[section]


def test_every_shipped_table_is_found_by_its_run_epoch_and_method():
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    found = {f"distances/{table['file']}" for table in golden["shipped tables"].values()}
    assert found == {name for name in golden["shipped files"] if name.startswith("distances/")}


def rewrite() -> None:
    """Replace the expected values by what the code gives now."""
    values = {section: describe() for section, describe in SECTIONS.items()}
    text = json.dumps(values, indent=1, ensure_ascii=False)
    GOLDEN.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    rewrite()
