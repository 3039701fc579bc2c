"""The form of a mitigation: none, regularizer, adversarial training or re-weighting."""

import streamlit as st

import rbcore as rb
from pages.shell.selection import Selection, partitions_on_offer
from rbcore.partitions import CLASS, group_labels, group_order
from rbcore.training.mitigations import Mitigation
from rbcore.training.mitigations.regularizer import FORMS

NONE, TERM, ADVERSARIAL, WEIGHT = (
    "none",
    "fairness regularizer",
    "adversarial training",
    "group re-weighting",
)
MEANING = {
    NONE: "The plain run.",
    TERM: (
        "A term of the loss that wants a group as far from the boundary as the rest "
        "(paper, section 9)."
    ),
    ADVERSARIAL: (
        "Every step learns from images that an attack has moved first; it knows no group "
        "(Madry et al. 2018)."
    ),
    WEIGHT: "The images of a group count more in the loss.",
}


def pick(chosen: Selection) -> Mitigation | None:
    """Draw the choice and what it needs.

    Return None for the plain run, and where no group is named yet.
    """
    kind = st.selectbox("Mitigation", list(MEANING), key="mitigation")
    st.caption(MEANING[kind])
    if kind == NONE:
        return None
    if kind == ADVERSARIAL:
        epsilon = st.number_input(
            "epsilon",
            0.01,
            100.0,
            rb.AdversarialTraining.epsilon,
            help="Farthest an image is moved, L2 in pixels.",
        )
        steps = st.number_input("Steps of the attack", 1, 50, rb.AdversarialTraining.steps)
        return rb.AdversarialTraining(epsilon, steps)
    by, group = _pick_group(chosen)
    if kind == WEIGHT:
        share = st.number_input(
            "Share of the weight",
            0.01,
            0.99,
            0.5,
            help="0.5: the group counts as much as all others together.",
        )
        return rb.Reweighting(by, group, share) if group else None
    usual = rb.Regularizer
    alpha = st.number_input("alpha", 0.0, 1000.0, usual.alpha, help="Weight of the term.")
    tau = st.number_input(
        "tau",
        0.0,
        100.0,
        usual.tau,
        help="Distance at which the groups are compared, L2 in pixels.",
    )
    with st.expander("More of the term"):
        temperature = st.number_input(
            "temperature",
            0.001,
            10.0,
            usual.temperature,
            format="%g",
            help="Over which the indicator falls, L2.",
        )
        form = st.selectbox("form", list(FORMS), list(FORMS).index(usual.form))
        st.caption(f"{form}: {FORMS[form]}")
        clip = st.number_input(
            "clip", 0.0, 1000.0, usual.clip, help="Longest gradient of the term; 0: never cut."
        )
    if not group:
        return None
    return rb.Regularizer(
        by, group, alpha=alpha, tau=tau, temperature=temperature, form=form, clip=clip
    )


def is_ready(mitigation: Mitigation | None) -> bool:
    """Whether what was picked can be trained with: a mitigation of a group needs its name."""
    return mitigation is not None or st.session_state["mitigation"] == NONE


def _pick_group(chosen: Selection) -> tuple[str, str | None]:
    offered = partitions_on_offer(chosen.spec, rb.list_runs(chosen.dataset))
    by = st.selectbox("Protected group: partition", offered, offered.index(chosen.by))
    known = _known_groups(chosen, by)
    group = st.selectbox(
        "Protected group",
        known,
        index=0 if known else None,
        accept_new_options=True,
        placeholder="its name, as the dataset spells it",
        help="Offered where distances of this dataset are computed; any other name can be typed.",
    )
    return by, group


def _known_groups(chosen: Selection, by: str) -> list[str]:
    if by == CLASS:
        return [
            str(name) for name in (chosen.run.facts.classes if chosen.run else chosen.spec.classes)
        ]
    stored = rb.stored_distances(chosen.run, chosen.epoch, chosen.method) if chosen.run else None
    return group_order(group_labels(stored.rows, by)) if stored is not None else []
