"""Epochs: when the bias appears in training, and whether it stays. Plays the epochs in turn."""

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd
import streamlit as st

import rbcore as rb
from pages.shell import cache, charts, missing_data
from pages.shell.selection import Selection, current
from pages.shell.text import escape_markdown
from rbcore import analyses, wording
from rbcore.charts import curves_of_epoch, tau_grid, through_training
from rbcore.errors import MeasureError
from rbcore.measures import is_correct
from rbcore.partitions import partition_names
from rbcore.store import StoredTable

SECONDS_AN_EPOCH = 1.2
PLAYED, PLAYING = "played", "playing"


def render(selection: Selection) -> None:
    """Draw sigma, accuracy and the agreement of signs over the epochs of a run."""
    st.title("Through training", anchor=False)
    st.caption(
        escape_markdown(
            f"{selection.spec.title} · by {selection.partition_title} · "
            f"{selection.model_title} · {selection.method_title}. {selection.method_note}"
        )
    )
    run = selection.run
    if run is None:
        missing_data.report_untrained(selection.model, selection)
        return
    found = {epoch: rb.stored_distances(run, epoch, selection.method) for epoch in run.epochs}
    tables = {epoch: stored for epoch, stored in found.items() if stored is not None}
    n_test = run.facts.n_test
    missing = [
        epoch for epoch in run.epochs if epoch not in tables or len(tables[epoch].rows) < n_test
    ]
    if tables:
        draw_epochs(selection, tables)
    if missing:
        offer_missing(selection, missing)
    if tables:
        st.caption(selection.spec.caution)


def draw_epochs(selection: Selection, tables: Mapping[int, StoredTable]) -> None:
    """Draw what is measured at the epochs that have distances."""
    measured = pd.concat(
        [measure(selection, stored).assign(epoch=epoch) for epoch, stored in tables.items()],
        ignore_index=True,
    )
    verdict = analyses.verdict_through_training(measured, kind=selection.partition_title)
    st.markdown(f"#### {escape_markdown(verdict)}")
    seconds = SECONDS_AN_EPOCH if st.session_state.get(PLAYING) else None
    st.fragment(play, run_every=seconds)(selection, tables, measured)
    st.caption(
        f"Bands are 95% intervals over test images, at most {selection.run.facts.n_test:,} of "
        "them, for this one run: of sigma the symmetric bootstrap-t, of I_P(tau) (the share of a "
        "group that is correct and farther than tau) and the accuracy Clopper-Pearson, each for "
        f"one group at one epoch. tau ends where {analyses.SHOWN_SHARE:.0%} of the distances of "
        "every epoch do. Groups with too few images have no sigma here. They were not tested at "
        "every epoch; Curves has the tests of one."
    )
    left, right = st.columns(2)
    with left:
        st.subheader("Accuracy", anchor=False)
        charts.draw(
            through_training(measured, "accuracy"),
            "accuracy by epoch",
            table=measured,
            alt="Test accuracy of each group over the epochs, with its interval.",
        )
    with right:
        st.subheader("Is the sign the last epoch's?", anchor=False)
        draw_signs(selection, tables)


def play(selection: Selection, tables: Mapping[int, StoredTable], measured: pd.DataFrame) -> None:
    """Draw the epoch that is played: where it lies in training, and its curves."""
    epochs = sorted(tables)
    epoch = epochs[-1]
    if len(epochs) > 1:
        advance(epochs)
        left, right = st.columns([1, 6], vertical_alignment="bottom")
        label = "Pause" if st.session_state.get(PLAYING) else "Play"
        if left.button(label, width="stretch", type="primary"):
            press(epochs)
            st.rerun()
        epoch = right.select_slider(
            "Epoch shown", epochs, epochs[-1], key=PLAYED, bind="query-params"
        )
    stored = tables[epoch]
    st.markdown(f"**{escape_markdown(describe_epoch(selection, stored, measured, epoch))}**")
    left, right = st.columns(2)
    with left:
        charts.draw(
            through_training(measured, "sigma", epoch=epoch),
            "sigma by epoch",
            table=measured,
            alt=(
                "Sigma of each group over the epochs, with its interval. "
                f"{analyses.verdict_through_training(measured)}"
            ),
        )
    with right:
        taus = tuple(tau_grid(stored.rows, selection.policy))
        curves = cache.curves(selection, stored, taus)
        end = analyses.shown_end((table.rows for table in tables.values()), selection.policy)
        charts.draw(
            curves_of_epoch(curves, end),
            "curves of the epoch",
            table=curves,
            alt=(
                f"At epoch {epoch}, for each group the share of images that are correct and "
                "farther than tau."
            ),
        )


def describe_epoch(
    selection: Selection, stored: StoredTable, measured: pd.DataFrame, epoch: int
) -> str:
    """Say the accuracy of an epoch, and which group is least robust then."""
    accuracy = is_correct(stored.rows, selection.policy).mean()
    said = [f"Epoch {epoch} of {selection.run.n_epochs}: accuracy {accuracy:.1%}"]
    own = measured[measured["epoch"] == epoch]
    for row in own[own["is_ranked"]].nsmallest(1, "sigma").itertuples():
        interval = analyses.interval_in_words(row.low, row.high)
        size = wording.size_in_words(row.n, row.n_counted)
        said.append(f"least robust {row.group}, sigma {row.sigma:+.2f} {interval}, {size}")
    return "; ".join(said)


def advance(epochs: list[int]) -> None:
    """Go on by one epoch while playing; stop after the last."""
    if not st.session_state.get(PLAYING):
        return
    at = epochs.index(st.session_state.get(PLAYED, epochs[-1]))
    if at + 1 < len(epochs):
        st.session_state[PLAYED] = epochs[at + 1]
    else:
        st.session_state[PLAYING] = False
        st.rerun()


def press(epochs: list[int]) -> None:
    """Start playing, from the first epoch where the last is shown; or pause."""
    st.session_state[PLAYING] = not st.session_state.get(PLAYING, False)
    if st.session_state[PLAYING] and st.session_state.get(PLAYED, epochs[-1]) == epochs[-1]:
        st.session_state[PLAYED] = epochs[0]


def draw_signs(selection: Selection, tables: Mapping[int, StoredTable]) -> None:
    """Draw for how many groups each epoch has the sign of the last."""
    try:
        signs = sign_consistency(selection, tables)
    except MeasureError as error:  # the epochs themselves are still worth seeing
        st.warning(escape_markdown(str(error)))
        return
    if signs.empty:
        st.info("Nothing to compare: it takes distances at the last epoch and at an earlier one.")
        return
    charts.draw_agreement(
        signs, "epoch", counted="Groups of all partitions; a partition into two counts once"
    )
    st.caption(
        "Groups of all partitions of this dataset whose sigma has the sign it has at the last "
        "epoch (section 7.2). The paper, over 151 groups, five datasets and five networks by "
        "DeepFool: first epoch 637 of 755, middle 671 of 755."
    )


def offer_missing(selection: Selection, missing: list[int]) -> None:
    """Say which epochs lack distances, and offer to compute them."""
    epochs = ", ".join(map(str, missing))
    missing_data.offer_estimates(
        [replace(selection, epoch=epoch) for epoch in missing],
        f"Distances by {selection.method} are missing or incomplete at epoch {epochs}.",
        f"Compute the {len(missing)} missing",
    )


@st.cache_data(max_entries=512, show_spinner="Measuring the epochs", hash_funcs=cache.MEASURED)
def measure(selection: Selection, stored: StoredTable) -> pd.DataFrame:
    """Return sigma and accuracy of one epoch."""
    return analyses.bias_of_epoch(stored.rows, selection.by, policy=selection.policy)


@st.cache_data(
    max_entries=64,
    show_spinner="Comparing signs",
    hash_funcs=cache.MEASURED | {Selection: cache.policy_of},
)
def sign_consistency(selection: Selection, tables: Mapping[int, StoredTable]) -> pd.DataFrame:
    """Return how often signs are those of the last epoch, over all partitions."""
    names = partition_names(next(iter(tables.values())).rows)
    return analyses.sign_consistency(
        selection.run, selection.method, names, policy=selection.policy
    )


render(current())
