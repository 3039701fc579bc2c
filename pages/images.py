"""Images: the faces behind a number. Clean, what was changed, and what the model then says; least robust first."""

import numpy as np
import streamlit as st

from pages.shell import results, selection
from pages.shell.text import plain
from rbcore import pictures
from rbcore.partitions import group_labels, group_order
from rbcore.store import distances_key

PER_PAGE = 12
COLUMNS = 3
ALL = "all groups"

chosen = selection.current()
st.title("Images at the boundary", anchor=False)
st.caption(f"{chosen.title}. {chosen.method_note}")
stored = results.distances(chosen)
if (stored.rows["bound"] == "lower").all():
    st.info(
        "A certificate says how far an image is safe; it has no changed image to show. Pick an attack in the sidebar."
    )
    st.stop()
labels = group_labels(stored.rows, chosen.by)
left, right = st.columns([2, 1])
with left:
    group = selection.picker("Group", "group", [ALL, *group_order(labels)])
members = stored.rows if group == ALL else stored.rows[labels == group]
ordered = members[members["distance"].notna()].sort_values(["distance", "sample_id"])
n_pages = max(1, -(-len(ordered) // PER_PAGE))
page = right.number_input(f"Page (of {n_pages})", 1, n_pages, key="page")
n_wrong, n_failed = int((~members["is_correct"]).sum()), int((members["status"] == "failed").sum())
st.caption(
    f"{len(ordered):,} of {len(members):,} test images have a distance and are shown, least robust first; {n_wrong} are "
    f"misclassified without any attack, {n_failed} have no result. Left: the image. Middle: what was changed, magnified "
    "around grey. Right: the changed image. Rounded to 8 bits for the screen; the predictions are the float images'."
)
if ordered.empty:
    st.info("No image of this group has a distance to show.")
    st.stop()

shown = ordered.iloc[(page - 1) * PER_PAGE : page * PER_PAGE]
found = results.perturbations(distances_key(stored.key_facts), tuple(shown["sample_id"]), chosen)
classes = chosen.run.facts["classes"]
for index, row in enumerate(found.table.itertuples()):
    if index % COLUMNS == 0:  # each row its own columns, so that the order holds where a narrow screen stacks them
        columns = st.columns(COLUMNS)
    clean, perturbed = found.clean[index], found.perturbed[index]
    after = classes[row.perturbed_prediction] if row.perturbed_prediction >= 0 else "?"
    with columns[index % COLUMNS].container(border=True):
        st.image(
            pictures.strip(clean, np.clip(perturbed, 0, 1)),
            width="stretch",
            alt=f"{row.sample_id}: clean, perturbation magnified, perturbed",
        )
        st.markdown(
            f"**{plain(classes[row.prediction])}** ({row.probability:.0%}) → **{plain(after)}** "
            f"({row.perturbed_probability:.0%}) · distance **{row.distance:.3g}**"
        )
        factor = pictures.magnification(clean, perturbed)
        own_group = labels.loc[shown.index[index]]
        st.caption(
            plain(f"{row.sample_id} · {chosen.partition_title} {own_group} · change magnified {factor:,.0f} times")
        )
st.caption(chosen.spec.caution)
