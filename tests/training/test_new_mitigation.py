"""CONTRIBUTING's recipe for a mitigation, followed literally: label smoothing, declared once,
is trained, and shows in the form, the command line, the report and the comparison.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import ClassVar

import pandas as pd
import pytest
import torch
import typer
from typer.testing import CliRunner

import rbcore as rb
from rbcore import analyses
from rbcore.charts import trade_off_chart
from rbcore.cli import training as commands
from rbcore.errors import TrainingError
from rbcore.parameters import setting
from rbcore.runs.command_lines import train_command
from rbcore.training.mitigations import MITIGATIONS, Mitigation
from tests.pages.app import open_page

MODEL = "logistic_regression"


@dataclass(frozen=True)
class SmoothedLabels(Mitigation):
    """Label smoothing: a share of each label is spread over all classes."""

    kind: ClassVar = "smoothed_labels"
    title: ClassVar = "label smoothing"
    meaning: ClassVar = "A share of each label is spread over all classes."
    option: ClassVar = "smooth-labels"
    metavar: ClassVar = "AMOUNT"
    strength: ClassVar = "amount"
    grid: ClassVar = {"amount": ()}

    amount: float = setting(0.1, "share of a label that is spread over all classes", 0, 0.9)

    @property
    def suffix(self):
        return f"+smooth-{self.amount:g}"

    def hooks(self, samples):
        from rbcore.training.hooks import Hooks

        def loss(logits, labels, drawn):
            smooth = torch.nn.functional.cross_entropy(logits, labels, label_smoothing=self.amount)
            return smooth

        return Hooks(loss=loss)


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setattr(MITIGATIONS, "_items", dict(MITIGATIONS._items))
    MITIGATIONS.add(SmoothedLabels.kind, SmoothedLabels)


@pytest.fixture(scope="module")
def digits():
    return rb.load_dataset("digits")


def run_command(*words: object) -> str:
    cli = typer.Typer()
    commands.add_commands(cli)
    done = CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_loss_is_that_of_smoothed_labels():
    logits, labels = (
        torch.randn(5, 3, generator=torch.Generator().manual_seed(0)),
        torch.arange(5) % 3,
    )
    loss = SmoothedLabels(0.3).hooks(pd.DataFrame()).loss(logits, labels, None)
    shares = torch.full((5, 3), 0.1) + 0.7 * torch.nn.functional.one_hot(labels, 3)
    expected = -(shares * logits.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(loss, expected)


def test_it_is_trained_from_the_command_line_reported_and_compared(digits):
    plain = rb.train(MODEL, digits, epochs=1)
    options = ("train", "digits", MODEL, "--epochs", 1, "--smooth-labels", 0.4)
    table = pd.read_csv(io.StringIO(run_command(*options, "--format", "csv")))
    (run,) = analyses.mitigated_runs(plain)
    assert list(table["run"]) == [run.name] == [f"{plain.name}+smooth-0.4"]
    assert run.mitigation == {"kind": "smoothed_labels", "amount": 0.4}
    assert run.facts.train_loss > plain.facts.train_loss  # the loss of smoothed labels is larger
    assert "--smooth-labels 0.4" in train_command(run.facts)
    assert analyses.mitigation_in_words(run) == "label smoothing (amount 0.4)"
    for each in (plain, run):
        rb.estimate_distances(rb.load_model(MODEL, digits, run=each.name), digits, "exact")
    costs, missing = analyses.trade_off([plain, run], "class", "8", "exact", 1)
    assert not missing and list(costs["kind"]) == ["plain", "label smoothing"]
    legend = str(trade_off_chart(costs).to_dict())
    assert "label smoothing" in legend and "amount 0.4" in legend


def test_a_grid_varies_it():
    grid = ("grid", "digits", MODEL, "--regularize", "class=8", "--epochs", 1, "--alphas", 1)
    text = run_command(*grid, "--amounts", "0.2,0.4", "--format", "csv")
    table = pd.read_csv(io.StringIO(text))
    assert table["amount"].dropna().tolist() == [0.2, 0.4]
    assert table["kind"].tolist()[1:] == ["regularizer", "smoothed_labels", "smoothed_labels"]


def test_the_form_draws_what_it_declares():
    app = open_page("compute", model=MODEL)
    app.selectbox(key="mitigation").select("label smoothing").run()
    field = app.number_input(key="smoothed_labels amount")
    assert (field.value, field.min, field.max) == (0.1, 0.0, 0.9) and not app.exception


def test_a_value_out_of_range_is_refused():
    with pytest.raises(TrainingError, match=r"amount=1.0 is not a number from 0 to 0.9"):
        SmoothedLabels(1.0)
