import base64
import io
import re
import shlex
from html import unescape

import numpy as np
import pandas as pd
import pytest

import rbcore as rb
from rbcore import store, wording
from rbcore.errors import MethodError, TrainingError
from rbcore.reports import selection
from rbcore.runs import command_lines
from rbcore.runs.checkpoints import find_run
from rbcore.training.mitigations import mitigation_of
from tests.cli.test_main import run as run_command
from tests.pages.app import shipped
from tests.reports.test_page import Page

LINEAR = ("digits", "logistic_regression")


def report(epoch="last", method="exact", by="class", **options) -> str:
    return selection.html(find_run(*LINEAR), epoch, method, by, **options)


def tables_in(text: str) -> dict[str, pd.DataFrame]:
    """Return the tables that a page holds as CSV."""
    found = re.findall(r'download="(\w+)\.csv" href="data:text/csv;base64,([^"]*)"', text)
    return {
        name: pd.read_csv(io.BytesIO(base64.b64decode(data)), dtype={"group": str})
        for name, data in found
    }


def commands_in(text: str) -> list[list[str]]:
    (code,) = re.findall(r"<pre>(.*?)</pre>", text, re.DOTALL)
    return [shlex.split(line) for line in unescape(code).splitlines()]


def test_it_stands_alone_and_says_what_the_library_says():
    text = report(epoch=3)
    page, stored = Page(text), shipped("logistic_regression", 3, "exact")
    bias = rb.robustness_bias(stored.rows, "class")
    assert all(link.startswith(("#", "data:text/csv;base64,")) for link in page.links)
    assert len(page.sources) == 2 and all(
        source.startswith("data:image/svg+xml;base64,") for source in page.sources
    )
    assert "<script" not in text and "http" not in text
    assert wording.verdict(bias) in unescape(text)
    assert rb.statuses_in_words(stored.rows, "exact") in text and "13 writers" in text
    shown = tables_in(text)["sigma"]
    np.testing.assert_allclose(shown[["sigma", "low", "high"]], bias[["sigma", "low", "high"]])
    assert list(shown["verdict"]) == list(wording.verdicts(bias))


def test_auditors_see_other_definitions_the_two_parts_and_other_seeds():
    text = report(epoch=3)
    rows = shipped("logistic_regression", 3, "exact").rows
    sigma = rb.robustness_bias(rows, "class")["sigma"]
    tables = tables_in(text)
    parts = tables["accuracy_and_distance"].pivot(index="group", columns="part", values="ratio")
    np.testing.assert_allclose(parts["total"], parts["accuracy"] * parts["distance"])
    np.testing.assert_allclose(parts["total"] - 1, sigma)
    flips = tables["other_definitions"]
    exclude = rb.robustness_bias(rows, "class", policy=rb.Policy("exclude", "mean", 2.0))["sigma"]
    assert (flips["n_flipped"] >= (np.sign(exclude) != np.sign(sigma))).all()
    assert (flips["n_definitions"] == 18).all()
    assert "other_seeds" not in tables and "needs at least two runs (given: 1)" in text
    other = report(policy=rb.Policy("exclude"))
    assert "accuracy_and_distance" not in tables_in(other)
    assert "exact only for misclassified='zero'" in unescape(other)


def test_it_carries_hashes_parameters_seed_and_versions():
    facts = tables_in(report(epoch=3))["provenance"].set_index("fact")["value"]
    stored = shipped("logistic_regression", 3, "exact")
    assert facts["distances: weights"] == f"sha256:{stored.key.weights}"
    assert facts["distances: dataset"] == f"sha256:{stored.key.dataset}"
    assert facts["computed: rows as text"] == f"sha256:{stored.checksum}"
    assert facts["computed: computed.torch"] == stored.provenance.computed[0].torch
    assert facts[["seed", "epoch", "n_test", "mitigation: kind"]].to_list() == [
        "0",
        "3",
        "360",
        "none",
    ]


def test_its_commands_give_the_same_numbers_again():
    policy = rb.Policy(misclassified="exclude", rest="mean", tau_max=0.5, correct_by="network")
    text = report(policy=policy)
    train, estimate, bias = commands_in(text)
    assert train[:4] == ["python", "-m", "rbcore", "train"]
    for command in (train, estimate):  # kept already, so nothing is computed
        assert run_command(*command[3:]).returncode == 0
    done = run_command(*bias[3:], "--format", "csv")
    again = pd.read_csv(io.StringIO(done.stdout), dtype={"group": str})
    np.testing.assert_allclose(again["sigma"], tables_in(text)["sigma"]["sigma"])
    chosen = tables_in(text)["definitions"].set_index("definition")["chosen"]
    asked = {
        "misclassified": "exclude",
        "rest": "mean",
        "tau_max": "0.5",
        "failed": "exclude",
        "correct_by": "network",
    }
    assert chosen.to_dict() == asked


@pytest.mark.parametrize(
    "mitigation",
    [
        rb.Regularizer("class", "3 <b>", alpha=2.0, temperature=0.2),
        rb.Regularizer("class", over="mean"),
        rb.AdversarialTraining(0.25, 2),
        rb.Reweighting("class", "8", 0.7),
    ],
)
def test_the_command_of_a_mitigated_run_asks_for_its_mitigation(mitigation, monkeypatch):
    asked = []

    def stop(request, dataset, device):
        asked.append(request.mitigation)
        raise TrainingError("enough")

    monkeypatch.setattr("rbcore.cli.training.train_with_bar", stop)
    options = mitigation_of(mitigation.as_facts()).options()
    run_command(*shlex.split(command_lines.command("train", *LINEAR, **options))[3:])
    assert asked == [mitigation]


def test_names_are_shown_as_they_are(cache):
    stored = shipped("logistic_regression", 2)
    names = {"0": "<script>alert(1)</script>", "1": "a|b", "2": "😀", "3": "x" * 200, "4": "שלום"}
    rows = stored.rows.assign(**{"class": stored.rows["class"].replace(names)})
    store.write_table(rows, stored.key, stored.provenance)
    text = report(epoch=2, method="deepfool")
    assert "<script" not in text and "&lt;script&gt;" in text
    assert set(names.values()) <= set(Page(text).cells)


def test_a_part_says_so_and_what_is_not_there_is_named(cache):
    stored = shipped("logistic_regression", 2)
    store.write_table(stored.rows.head(100), stored.key, stored.provenance)
    assert "n = 100 of 360 test images" in report(epoch=2, method="deepfool")
    with pytest.raises(
        MethodError, match="python -m rbcore estimate digits logistic_regression ddn"
    ):
        report(method="ddn")


def test_the_best_of_all_names_each_method_it_joined(tmp_path):
    path = tmp_path / "r.html"
    done = run_command("report", *LINEAR, "best", "--by", "class", "--out", path)
    assert done.stdout == f"{path}\n", done.stderr
    estimates = [
        command for command in commands_in(path.read_text("utf-8")) if command[3] == "estimate"
    ]
    assert {command[6] for command in estimates} == {"deepfool", "minimal"}
