"""The sidebar: the pickers of the selection, the definitions, and the report of what is picked."""

import html
from functools import partial

import streamlit as st

import rbcore as rb
from pages.shell import charts, forms
from pages.shell.definitions import QUESTIONS
from pages.shell.forms import picker
from pages.shell.selection import EPOCH_PUT, STATE, Selection, partitions_on_offer
from pages.shell.text import escape_markdown
from rbcore import store
from rbcore.datasets import DATASETS
from rbcore.distances import best, method_spellings
from rbcore.errors import RobustnessBiasError, StoreError
from rbcore.measures import Policy
from rbcore.models import MODELS
from rbcore.reports import selection as selection_report
from rbcore.runs.checkpoints import Run, damaged_runs

MOST_NAMED = 3
"""Damaged files that are named."""
USUAL_METHOD = "deepfool"
"""The default: the one method that applies to every model."""
LARGEST_TAU = 1e4
"""Larger than the distance between any two images in [0, 1]."""


def draw() -> Selection:
    """Draw the sidebar, and keep what is picked for the pages."""
    with st.sidebar:
        selection = _pick()
        st.session_state[STATE] = selection
        _offer_report(selection)
    return selection


def _pick() -> Selection:
    dataset = picker("Dataset", "dataset", list(DATASETS))
    all_runs = rb.list_runs(dataset)
    by = picker("Partition", "by", partitions_on_offer(DATASETS[dataset], all_runs))
    model = picker(
        "Model", "model", list(dict.fromkeys([*MODELS, *(run.model for run in all_runs)]))
    )
    # The first that was trained is the default, so that a short link opens the same run after
    # another training.
    runs = sorted(
        (run for run in reversed(all_runs) if run.model == model), key=lambda run: not run.is_usual
    )
    run = epoch = None
    _warn_of_lost_run(dataset, model, [run.name for run in runs])
    if runs:
        name = picker("Run", "run", [run.name for run in runs])
        run = next(run for run in runs if run.name == name)
        _reset_epoch_of_another(run)
        epochs = [str(epoch) for epoch in reversed(run.epochs)]
        epoch = int(picker(f"Epoch (of {run.n_epochs})", "epoch", epochs))
    elif "run" in st.query_params:
        st.warning(
            escape_markdown(
                f"The link names the run {st.query_params['run']!r}, but nothing is trained here "
                "yet."
            )
        )
    method = picker("Distance method", "method", _methods_on_offer(model, run, epoch))
    _warn_of_damage()
    with st.expander("Definitions"):
        policy = _pick_policy()
    return Selection(dataset, by, model, run, epoch, method, policy)


def _pick_policy() -> Policy:
    picked = {
        question.name: picker(
            question.label, question.name, list(question.answers), help=question.help
        )
        for question in QUESTIONS
    }
    tau_max = forms.number_field(
        "Upper limit of tau (L2; 0: none)",
        "tau_max",
        0.0,
        LARGEST_TAU,
        help="0: the whole area under I_P(tau). Otherwise the area up to this tau.",
    )
    return Policy(**picked, tau_max=tau_max or None)


def _reset_epoch_of_another(run: Run) -> None:
    """Pick the last epoch where the run shown before has another number of them.

    Not where a click has just set the epoch.
    """
    was_put = st.session_state.pop(EPOCH_PUT, False)
    before: Selection | None = st.session_state.get(STATE)
    if was_put or before is None or before.run is None:
        return
    if before.run.n_epochs != run.n_epochs:
        st.session_state["epoch"] = str(run.epochs[-1])


def _warn_of_lost_run(dataset: str, model: str, names: list[str]) -> None:
    """Report that the run shown until now is gone: deleted, or its newest sidecar is damaged."""
    before: Selection | None = st.session_state.get(STATE)
    if before is None or before.run is None or (before.dataset, before.model) != (dataset, model):
        return
    if before.run.name not in names:
        instead = f"; showing {names[0]!r}" if names else ""
        st.warning(escape_markdown(f"The run {before.run.name!r} is gone{instead}."))


def _warn_of_damage() -> None:
    sentences = [*damaged_runs(), *store.damaged_tables()]
    if sentences:
        more = f" And {len(sentences) - MOST_NAMED:,} more." if len(sentences) > MOST_NAMED else ""
        st.warning(
            escape_markdown(
                "Some files are damaged and are left out; everything else works: "
                f"{' '.join(sentences[:MOST_NAMED])}{more}"
            )
        )


def _methods_on_offer(model: str, run: Run | None, epoch: int | None) -> list[str]:
    """Return the methods that apply to a model, then those stored with other parameters."""
    is_linear = model in MODELS and MODELS[model].is_linear
    names = sorted(method_spellings(is_linear=is_linear), key=lambda name: name != USUAL_METHOD)
    stored = []
    if run is not None and epoch is not None:
        try:
            stored = rb.stored_methods(run, epoch)
        except StoreError as error:  # one damaged sidecar: the other epochs stay
            st.warning(escape_markdown(str(error)))
    return [*names, *(name for name in stored if name not in names), best.BEST]


def _offer_report(selection: Selection) -> None:
    st.download_button(
        "Report of this selection",
        partial(report_of, selection),  # runs when it is clicked, outside the page's run
        file_name=f"{charts.file_stem('report')}.html",
        mime="text/html",
        on_click="ignore",
        key="report",
        width="stretch",
        disabled=selection.run is None,
        help=(
            "One HTML file that opens offline: the answer, the charts, the definitions, and how "
            "to reproduce the numbers."
        ),
    )


def report_of(selection: Selection) -> str:
    """Return the report as HTML, or a page that says why there is none."""
    try:
        return selection_report.html(
            selection.run, selection.epoch, selection.method, selection.by, policy=selection.policy
        )
    except RobustnessBiasError as error:
        return (
            '<!doctype html><html lang="en"><meta charset="utf-8"><title>No report</title><h1>'
            "There is no report of this selection</h1><p>"
            f"{html.escape(str(error))}</p></html>\n"
        )
