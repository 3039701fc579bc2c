"""What a page says where something is missing: a calm sentence, and the job that makes it, or why there is none."""

from collections.abc import Sequence

import streamlit as st

from pages.shell import jobs, menu, read_only, tasks
from pages.shell.selection import Selection
from pages.shell.text import plain
from rbcore import sampling, wording
from rbcore.distances.best import BEST

NAMED = 3
"""Groups that an offer names."""


def say_untrained(what: str, selection: Selection) -> None:
    """Say that there is no run yet, and lead to where one is trained."""
    st.info(plain(f"No {what} is trained on {selection.spec.title} yet."))
    if read_only.is_read_only():
        st.caption(f"{read_only.SENTENCE} Pick another dataset, model or run in the sidebar.")
        return
    st.page_link(
        menu.page("Compute"), label="Train one on the Compute page", icon=":material/arrow_forward:"
    )


def offer_estimates(wanted: Sequence[Selection], sentence: str, label: str) -> None:
    """Say which distances are missing, and offer the jobs that compute them, or follow those that are at it."""
    runner, keys = jobs.runner(), [tasks.estimate_key(item) for item in wanted]
    active = tuple(key for key in keys if runner.is_active(key))
    if active:
        jobs.watch(active)
        return
    for key in keys:
        job = runner.jobs.get(key)
        if job is not None and job.state != jobs.DONE:
            jobs.show_job(job)
    st.info(plain(sentence))
    if read_only.is_read_only():
        st.caption(f"{read_only.SENTENCE} Pick another method, model or epoch in the sidebar.")
    elif any(item.method == BEST for item in wanted):
        st.caption(
            "The best of all attacks is joined from those computed; pick one of them in the "
            "sidebar to compute it."
        )
    elif st.button(label, type="primary"):
        for item in wanted:
            tasks.submit_estimate(item)
        st.rerun()


def offer_more(chosen: Selection, groups: Sequence[str]) -> None:
    """Offer the job that measures more images of groups with too few, or follow it."""
    key = tasks.estimate_key(chosen)
    if jobs.runner().is_active(key):
        jobs.watch((key,))
    elif not read_only.is_read_only() and chosen.method != BEST:
        named = wording.listed(
            [wording.name_of_group(group, chosen.partition_title) for group in groups[:NAMED]]
        )
        label = (
            f"Measure at least {sampling.USUAL_AT_LEAST} images of each group, "
            "where there are so many"
        )
        if st.button(
            label,
            help=plain(
                f"More of {named}; measures then weigh each group as in the whole test split."
            ),
        ):
            tasks.submit_estimate(chosen, at_least=sampling.USUAL_AT_LEAST, by=chosen.by)
            st.rerun()
