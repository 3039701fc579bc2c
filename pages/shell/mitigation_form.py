"""The form of a mitigation, drawn from what the registered ones declare."""

import streamlit as st

import rbcore as rb
from pages.shell.forms import parameter_field
from pages.shell.selection import Selection, partitions_on_offer
from rbcore.partitions import CLASS, group_labels, group_order
from rbcore.training.mitigations import MITIGATIONS, GroupMitigation, Mitigation

NONE = "none"


def pick(chosen: Selection) -> Mitigation | None:
    """Draw the choice and the settings that it declares.

    Return None for the plain run, and where no group is named yet.
    """
    kinds = {NONE: "The plain run."}
    kinds |= {found.title: found.meaning for found in MITIGATIONS.values()}
    title = st.selectbox("Mitigation", list(kinds), key="mitigation")
    st.caption(kinds[title])
    if title == NONE:
        return None
    declared = next(found for found in MITIGATIONS.values() if found.title == title)
    by, group = "class", None
    if issubclass(declared, GroupMitigation):
        by, group = _pick_group(chosen)
    usual = declared.protecting(by, group or "the group", {}).values()
    given = {
        parameter.name: parameter_field(
            parameter, usual[parameter.name], f"{declared.kind} {parameter.name}"
        )
        for parameter in declared.parameters()
        if parameter.name in usual
    }
    if group is None and issubclass(declared, GroupMitigation):
        return None
    return declared.protecting(by, group, given)


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
