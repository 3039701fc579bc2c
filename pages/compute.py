"""Compute: train a model or estimate distances in background jobs; manage what is stored."""

from dataclasses import replace

import streamlit as st

from pages.shell import cache, forms, jobs, read_only, storage, tasks, training_form
from pages.shell.selection import Selection, current
from pages.shell.text import escape_markdown
from rbcore import runtime
from rbcore.charts import training_history
from rbcore.distances.best import BEST
from rbcore.sampling import Rows
from rbcore.training.train import newest_history


def render(selection: Selection) -> None:
    """Draw the forms, the queue, the newest training and the storage."""
    st.title("Compute", anchor=False)
    if read_only.is_read_only():
        st.info(read_only.SENTENCE)
    else:
        st.caption(
            "Training and estimating run in background jobs, one at a time. A cancelled job keeps "
            "finished epochs and batches, and continues from there when it is started again."
        )
        queue = st.container()
        devices = runtime.available_devices()
        device = st.segmented_control("Device", devices, default=devices[0], required=True)
        left, right = st.columns(2, border=True)
        with left:
            training_form.draw(selection, device)
        with right:
            draw_estimate_form(selection, device)
        with queue:  # above, and drawn last, so that it holds what was started just now
            draw_jobs()
    every = "2s" if jobs.runner().active() else None
    st.fragment(draw_history, run_every=every)(selection)
    storage.draw()
    st.caption(selection.spec.caution)


def draw_estimate_form(selection: Selection, device: str) -> None:
    """Draw the form of an estimate of the selection, and start it."""
    st.subheader("Estimate distances", anchor=False)
    if selection.run is None:
        st.info(
            escape_markdown(
                f"No {selection.model} is trained on {selection.spec.title} yet; train one first."
            )
        )
        st.button("Estimate", type="primary", disabled=True)
        return
    if selection.method == BEST:
        st.info(
            "The best of all attacks is joined from the attacks that are computed; pick one of "
            "them to compute it."
        )
        return
    n_test = selection.run.facts.n_test
    st.markdown(
        escape_markdown(
            f"{selection.method_title} on run {selection.run.name}, epoch {selection.epoch}"
        )
    )
    limit = st.number_input(
        "Test images", 1, n_test, n_test, help="The first ones in a random order fixed by the seed."
    )
    every = st.number_input(
        "Every n-th image", 1, 100, 1, help="5 is the paper's choice for smoothing."
    )
    at_least = st.number_input(
        f"Minimum images per group by {selection.partition_title} (0: no minimum)",
        0,
        n_test,
        0,
        help=(
            "Further images, so that each group has as many; only these where the two fields "
            "above are left as they are. Measures then weight each group as in the whole test "
            "split."
        ),
    )
    rows = Rows(limit=None if limit == n_test else limit, every=every)
    if at_least:
        rows = replace(rows, at_least=int(at_least), by=selection.by)
    with st.expander("Parameters"):
        method = forms.parameter_fields(selection.method)
    wanted = replace(selection, method=method)
    cost = cache.format_cost(wanted, min(limit, -(-n_test // every)))
    if cost:
        st.caption(cost)
    if not st.button("Estimate", type="primary"):
        return
    if jobs.runner().is_active(tasks.estimate_key(wanted)):
        st.info("A job is already computing these distances; wait for it or cancel it first.")
        return
    tasks.submit_estimate(wanted, rows, device=device)
    st.toast(training_form.QUEUED)
    if method != selection.method:
        st.info(escape_markdown(f"When done, they are in the sidebar under the method {method!r}."))


def draw_jobs() -> None:
    """Draw the queue in its order, and below it the jobs that ended, the newest first."""
    active, ended = jobs.runner().active(), jobs.runner().ended()
    if not active and not ended:
        return
    st.subheader("Jobs", anchor=False)
    if len(active) > 1:
        st.caption(f"{len(active) - 1} of {len(active)} are queued; they run in this order.")
    if active:
        jobs.watch(tuple(job.key for job in active))
    for job in ended:
        jobs.draw_job(job)


def draw_history(selection: Selection) -> None:
    """Draw loss and accuracy of the newest run, also while it trains."""
    name, history = newest_history(selection.dataset, selection.model)
    if not history:
        return
    with st.expander(escape_markdown(f"Training of the newest run, {name}")):
        st.altair_chart(
            training_history(history),
            width="stretch",
            alt=(
                f"Mean training loss and test accuracy after each of {len(history)} epochs; the "
                f"last: {history[-1]['test_accuracy']:.1%}."
            ),
        )


render(current())
