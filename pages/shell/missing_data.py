"""What a page says where results are missing or unreliable, and the button that computes them."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

import rbcore as rb
from pages.shell import jobs, navigation, read_only, tasks
from pages.shell.selection import Selection
from pages.shell.text import escape_markdown
from rbcore import sampling, wording
from rbcore.distances.best import BEST
from rbcore.store import StoredTable

MOST_NAMED = 3
"""Groups that an offer names."""


def report_untrained(what: str, selection: Selection) -> None:
    """Say that there is no run yet, and link to where one is trained."""
    st.info(escape_markdown(f"No {what} is trained on {selection.spec.title} yet."))
    if read_only.is_read_only():
        st.caption(f"{read_only.SENTENCE} Pick another dataset, model or run in the sidebar.")
        return
    st.page_link(
        navigation.page("Compute"),
        label="Train one on the Compute page",
        icon=":material/arrow_forward:",
    )


def offer_estimates(missing: Sequence[Selection], sentence: str, label: str) -> None:
    """Say which distances are missing, and offer to compute them; or follow the jobs that do."""
    runner, keys = jobs.runner(), [tasks.estimate_key(selection) for selection in missing]
    active = tuple(key for key in keys if runner.is_active(key))
    if active:
        jobs.watch(active)
        return
    for key in keys:
        job = runner.jobs.get(key)
        if job is not None and job.state != jobs.DONE:
            jobs.draw_job(job)
    st.info(escape_markdown(sentence))
    if read_only.is_read_only():
        st.caption(f"{read_only.SENTENCE} Pick another method, model or epoch in the sidebar.")
    elif any(selection.method == BEST for selection in missing):
        st.caption(
            "The best of all attacks is joined from the attacks that are computed; pick one of "
            "them in the sidebar to compute it."
        )
    elif st.button(label, type="primary"):
        for selection in missing:
            tasks.submit_estimate(selection)
        st.rerun()


def offer_more_images(selection: Selection, groups: Sequence[str]) -> None:
    """Offer to measure more images of groups with too few; or follow the job that does."""
    key = tasks.estimate_key(selection)
    if jobs.runner().is_active(key):
        jobs.watch((key,))
    elif not read_only.is_read_only() and selection.method != BEST:
        named = wording.listed(
            [
                wording.name_of_group(group, selection.partition_title)
                for group in groups[:MOST_NAMED]
            ]
        )
        if st.button(
            f"Measure at least {sampling.USUAL_AT_LEAST} images of each group",
            help=escape_markdown(
                f"More of {named}; all images of a group that has fewer. Measures then weight "
                "each group as in the whole test split."
            ),
        ):
            enough = sampling.Rows(at_least=sampling.USUAL_AT_LEAST, by=selection.by)
            tasks.submit_estimate(selection, enough)
            st.rerun()


def stored_or_stop(selection: Selection) -> StoredTable:
    """Return the stored distances of the selection, or offer to compute them and end the page."""
    if selection.run is None:
        report_untrained(selection.model, selection)
        st.stop()
    stored = rb.stored_distances(selection.run, selection.epoch, selection.method)
    if stored is None:
        n_test = selection.run.facts.n_test
        sentence = (
            f"These distances are not computed yet: {selection.title}, {n_test:,} test images."
        )
        offer_estimates([selection], sentence, "Compute them now")
        st.stop()
    if stored.notice:
        st.info(escape_markdown(stored.notice))
    return stored


def warn_of_fallbacks(rows: pd.DataFrame, method: str) -> None:
    """Draw a warning where so many distances are fallbacks that measures say little."""
    correct, fallback = int(rows["is_correct"].sum()), int((rows["status"] == "fallback").sum())
    warning = wording.fallback_warning(fallback, correct)
    if warning:
        st.warning(escape_markdown(f"{method}: {warning}"))
