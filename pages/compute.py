"""Compute: train a model or estimate distances beside the pages; watch, cancel, go on meanwhile.

See and delete what is kept.
"""

from dataclasses import replace

import streamlit as st

from pages.shell import (
    definitions,
    jobs,
    read_only,
    results,
    selection,
    storage,
    tasks,
    training_form,
)
from pages.shell.text import plain
from rbcore import runtime
from rbcore.charts import training_history
from rbcore.distances.best import BEST, title_of
from rbcore.training.train import newest_history

chosen = selection.current()
runner = jobs.runner()
st.title("Compute", anchor=False)


def offer_estimate(device: str) -> None:
    """Draw what an estimate of the selection needs, and start it."""
    st.subheader("Estimate distances", anchor=False)
    if chosen.run is None:
        st.info(plain(f"No {chosen.model} is trained on {chosen.spec.title} yet; train one first."))
        st.button("Estimate", type="primary", disabled=True)
        return
    if chosen.method == BEST:
        st.info(
            "The best of all attacks is joined from those computed; pick one of them to compute it."
        )
        return
    n_test = chosen.run.facts["n_test"]
    st.markdown(plain(f"{title_of(chosen.method)} on run {chosen.run.name}, epoch {chosen.epoch}"))
    limit = st.number_input(
        "Test images",
        1,
        n_test,
        n_test,
        help="The first so many in a random order fixed by the seed.",
    )
    every = st.number_input(
        "Every n-th image", 1, 100, 1, help="5 is the paper's choice for smoothing."
    )
    at_least = st.number_input(
        f"At least so many of each group by {chosen.partition_title} (0: no matter)",
        0,
        n_test,
        0,
        help=(
            "Beside those above, so that small groups are not missed; with all of these left as "
            "they are, only they. Measures then weigh each group as in the whole test split."
        ),
    )
    drawn = {"at_least": int(at_least), "by": chosen.by} if at_least else {}
    if drawn and limit == n_test:
        limit = None
    with st.expander("Parameters"):
        method = definitions.pick_parameters(chosen.method)
    wanted = replace(chosen, method=method)
    cost = results.cost(wanted, min(limit or n_test, -(-n_test // every)))
    if cost:
        st.caption(cost)
    if st.button("Estimate", type="primary"):
        if runner.is_active(tasks.estimate_key(wanted)):
            st.info(
                "These distances are being computed already; wait for that job or cancel it first."
            )
        else:
            tasks.submit_estimate(wanted, limit=limit, every=every, device=device, **drawn)
            st.toast(training_form.QUEUED)
            if method != chosen.method:
                st.info(
                    plain(f"When done, they are offered in the sidebar as the method {method!r}.")
                )


@st.fragment(run_every="2s" if runner.active() else None)
def show_history() -> None:
    """Draw loss and accuracy of the newest run, also while it trains."""
    name, history = newest_history(chosen.dataset, chosen.model)
    if history:
        with st.expander(plain(f"Training of the newest run, {name}")):
            st.altair_chart(
                training_history(history),
                width="stretch",
                alt=(
                    f"Mean training loss and test accuracy after each of {len(history)} epochs; "
                    f"the last: {history[-1]['test_accuracy']:.1%}."
                ),
            )


def show_jobs() -> None:
    """Draw the queue in its order, and below it what ended, the newest first."""
    active, ended = runner.active(), runner.ended()
    if not active and not ended:
        return
    st.subheader("Jobs", anchor=False)
    if len(active) > 1:
        st.caption(f"{len(active) - 1} of {len(active)} wait; they run in this order.")
    if active:
        jobs.watch(tuple(job.key for job in active))
    for job in ended:
        jobs.show_job(job)


if read_only.is_read_only():
    st.info(read_only.SENTENCE)
else:
    st.caption(
        "Work runs beside the pages, one job at a time. Cancelling keeps finished epochs and "
        "batches; started again, it goes on from there."
    )
    queue = st.container()
    device = st.segmented_control(
        "Device", runtime.available_devices(), default=runtime.available_devices()[0], required=True
    )
    train, estimate = st.columns(2, border=True)
    with train:
        training_form.draw(chosen, device)
    with estimate:
        offer_estimate(device)
    with queue:  # above, and drawn last, so that it holds what was started just now
        show_jobs()
show_history()
storage.draw()
st.caption(chosen.spec.caution)
