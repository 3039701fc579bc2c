"""Epochs: when the bias appears in training, and whether it stays.

Play the epochs one after the other.
"""

from dataclasses import replace

import pandas as pd
import streamlit as st

import rbcore as rb
from pages.shell import definitions, missing_data, selection, show
from pages.shell.text import plain
from rbcore import analyses, inference
from rbcore.charts import curves_of_epoch, tau_grid, through_training
from rbcore.distances.best import title_of
from rbcore.errors import MeasureError
from rbcore.measures import Policy, is_correct
from rbcore.partitions import partition_names
from rbcore.runs.checkpoints import Run

SECONDS_AN_EPOCH = 1.2
PLAYED, PLAYING = "played", "playing"


@st.cache_data(max_entries=512, show_spinner="Measuring the epochs")
def measured(
    checksum: str, by: str, policy_text: str, _rows: pd.DataFrame, _policy: Policy
) -> pd.DataFrame:
    """Return sigma and accuracy of one epoch, kept by the checksum of its rows and the policy's text."""
    return analyses.bias_of_epoch(_rows, by, policy=_policy)


@st.cache_data(max_entries=256, show_spinner=False)
def curves(
    checksum: str, by: str, policy_text: str, _rows: pd.DataFrame, _policy: Policy
) -> pd.DataFrame:
    """Return the curves of one epoch."""
    return inference.curves(_rows, by, taus=tau_grid(_rows, _policy), policy=_policy)


@st.cache_data(max_entries=64, show_spinner="Comparing signs")
def consistency(
    checksums: str, policy_text: str, _run: Run, _method: str, _policy: Policy
) -> pd.DataFrame:
    """Return how often signs are those of the last epoch, kept by the checksums of all epochs' rows."""
    names = partition_names(next(iter(tables.values())).rows)
    return analyses.sign_consistency(_run, _method, names, policy=_policy)


def offer_missing(missing: list[int]) -> None:
    """Say which epochs lack distances, and offer or follow the jobs that compute them."""
    epochs = ", ".join(map(str, missing))
    missing_data.offer_estimates(
        [replace(chosen, epoch=epoch) for epoch in missing],
        (
            f"Distances by {chosen.method} are missing, or cover a part of the test images only, "
            f"at epoch {epochs}."
        ),
        f"Compute the {len(missing)} missing",
    )


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


@st.fragment(run_every=SECONDS_AN_EPOCH if st.session_state.get(PLAYING) else None)
def play(table: pd.DataFrame, largest: float) -> None:
    """Draw the epoch that is played: where it lies in training, and its curves."""
    epochs = sorted(table["epoch"].unique().tolist())
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
    own = table[table["epoch"] == epoch]
    stored = tables[epoch]
    least = own[own["is_ranked"]].nsmallest(1, "sigma")
    said = [
        f"Epoch {epoch} of {chosen.run.n_epochs}: accuracy "
        f"{is_correct(stored.rows, policy).mean():.1%}"
    ]
    said += [
        (
            f"least robust {row.group}, sigma {row.sigma:+.2f} "
            f"{analyses.interval_in_words(row.low, row.high)}, n = {row.n:,}"
        )
        for row in least.itertuples()
    ]
    st.markdown(f"**{plain('; '.join(said))}**")
    left, right = st.columns(2)
    with left:
        show.chart(
            through_training(table, "sigma", epoch=epoch),
            "sigma by epoch",
            table=table,
            alt=(
                "Sigma of each group over the epochs, with its interval. "
                f"{analyses.verdict_through_training(table)}"
            ),
        )
    with right:
        drawn = curves(stored.checksum, chosen.by, repr(policy), stored.rows, policy)
        show.chart(
            curves_of_epoch(drawn, largest),
            "curves of the epoch",
            table=drawn,
            alt=(
                f"At epoch {epoch}, for each group the share of images that are correct "
                "and farther than tau."
            ),
        )


def show_signs() -> None:
    """Draw at how many groups each epoch has the sign of the last."""
    checksums = " ".join(stored.checksum for stored in tables.values())
    try:
        signs = consistency(checksums, repr(policy), chosen.run, chosen.method, policy)
    except MeasureError as error:  # the epochs themselves are still worth seeing
        st.warning(plain(str(error)))
        return
    if signs.empty:
        st.info("Nothing to compare: it takes distances at the last epoch and at an earlier one.")
        return
    show.signs(signs, "epoch", counted="Groups of all partitions; of two groups one counts")
    st.caption(
        "Groups of all partitions of this dataset whose sigma has the sign it has at the last "
        "epoch (section 7.2). The paper, over 151 groups, five datasets and five networks by "
        "DeepFool: first epoch 637 of 755, middle 671 of 755."
    )


chosen = selection.current()
st.title("Through training", anchor=False)
st.caption(
    plain(
        f"{chosen.spec.title} · by {chosen.partition_title} · {chosen.model_title} · "
        f"{title_of(chosen.method)}. "
    )
    + plain(chosen.method_note)
)
if chosen.run is None:
    missing_data.say_untrained(chosen.model, chosen)
    st.stop()
policy = definitions.pick()
stored_at = {
    epoch: rb.stored_distances(chosen.run, epoch, chosen.method) for epoch in chosen.run.epochs
}
tables = {epoch: stored for epoch, stored in stored_at.items() if stored is not None}
n_test = chosen.run.facts["n_test"]
missing = [
    epoch for epoch in chosen.run.epochs if epoch not in tables or len(tables[epoch].rows) < n_test
]
if not tables:
    offer_missing(missing)
    st.stop()
table = pd.concat(
    [
        measured(stored.checksum, chosen.by, repr(policy), stored.rows, policy).assign(epoch=epoch)
        for epoch, stored in tables.items()
    ],
    ignore_index=True,
)
st.markdown(f"#### {plain(analyses.verdict_through_training(table, kind=chosen.partition_title))}")
play(table, analyses.shown_end((stored.rows for stored in tables.values()), policy))
st.caption(
    f"Bands are 95% intervals over test images, at most {n_test:,} of them, for this one "
    "run: of sigma the symmetric bootstrap-t, of I_P(tau) (the share of a group that is "
    "correct and farther than tau) and the accuracy Clopper-Pearson, each for one group at "
    f"one epoch. tau ends where {analyses.SHOWN_SHARE:.0%} of the distances of every epoch "
    "do. Groups with too few images have no sigma here. They were not tested at every epoch; "
    "Curves has the tests of one."
)
left, right = st.columns(2)
with left:
    st.subheader("Accuracy", anchor=False)
    show.chart(
        through_training(table, "accuracy"),
        "accuracy by epoch",
        table=table,
        alt="Test accuracy of each group over the epochs, with its interval.",
    )
with right:
    st.subheader("Is the sign the last epoch's?", anchor=False)
    show_signs()
if missing:
    offer_missing(missing)
st.caption(chosen.spec.caution)
