"""Images on a page: clean, perturbation and perturbed; what the network predicts; cards of many."""

import numpy as np
import pandas as pd
import streamlit as st

from pages.shell import cache
from pages.shell.selection import Selection, put
from pages.shell.text import escape_markdown
from rbcore.charts import rendering
from rbcore.partitions import group_labels
from rbcore.store import StoredTable

COLUMNS = 3
FOUND = "found"
"""The usual status of a distance, which goes without saying."""
ONE = "one image"
"""The view of the page of images that a card leads to."""


def draw_strip(clean: np.ndarray, perturbed: np.ndarray, name: str, side: int = 160) -> None:
    """Draw clean | perturbation magnified | perturbed; the clean image alone where it has none."""
    if not np.isfinite(perturbed).all():
        st.image(rendering.to_uint8(clean, side), alt=f"{name}: clean")
        return
    picture = rendering.strip(clean, np.clip(perturbed, 0, 1), side)
    st.image(picture, width="stretch", alt=f"{name}: clean, perturbation magnified, perturbed")


def class_name(selection: Selection, number: int) -> str:
    """Return the name of a class; of none, a question mark."""
    return selection.run.facts.classes[number] if number >= 0 else "?"


def network_class(selection: Selection, row) -> str:
    """Return the name of the class that the network predicts for the clean image.

    The distance may be of the smoothed classifier.
    """
    return class_name(selection, getattr(row, "network_prediction", row.prediction))


def describe_predictions(selection: Selection, row) -> str:
    """Say what the network predicts for the clean and for the perturbed image, in Markdown."""
    clean = f"**{escape_markdown(network_class(selection, row))}** ({row.probability:.0%})"
    if np.isnan(row.distance):
        why = (
            "misclassified without any attack"
            if row.status == "misclassified"
            else f"{row.status}: no distance"
        )
        true_class = escape_markdown(class_name(selection, row.label))
        return f"{clean} · true class **{true_class}** · {why}"
    after = (
        f"**{escape_markdown(class_name(selection, row.perturbed_prediction))}** "
        f"({row.perturbed_probability:.0%})"
    )
    return f"{clean} → {after} · distance **{row.distance:.3g}**"


def describe_rounding(selection: Selection, row, prediction: int) -> str:
    """Say what the network predicts once the perturbed image is rounded to 8 bits."""
    name = class_name(selection, prediction)
    if prediction == row.label:
        return f"rounded to 8 bits: {name} again"
    still = "still" if prediction == row.perturbed_prediction else "then"
    return f"rounded to 8 bits: {still} {name}"


def draw_cards(
    selection: Selection,
    stored: StoredTable,
    members: pd.DataFrame,
    notes: dict[str, str] | None = None,
) -> None:
    """Draw a card for each of some rows of a table, and count what stays misclassified rounded."""
    sample_ids = tuple(members["sample_id"])
    found = cache.perturbations(selection, stored, sample_ids)
    rounded = cache.rounded_predictions(selection, stored, sample_ids)
    groups = group_labels(members, selection.by).tolist()
    for index, row in enumerate(found.table.itertuples()):
        if index % COLUMNS == 0:
            # Each row has its own columns: a narrow screen, which stacks them, keeps the order.
            columns = st.columns(COLUMNS)
        clean, perturbed = found.clean[index], found.perturbed[index]
        with columns[index % COLUMNS].container(border=True):
            draw_strip(clean, perturbed, row.sample_id)
            st.markdown(describe_predictions(selection, row))
            if notes is not None:
                st.markdown(notes[row.sample_id])
            facts = [row.sample_id, f"{selection.partition_title} {groups[index]}"]
            if rounded[index] >= 0:
                factor = rendering.magnification(clean, perturbed)
                facts.append(f"change magnified {factor:,.0f} times")
                facts += [row.status] if row.status != FOUND else []
                facts.append(describe_rounding(selection, row, rounded[index]))
            st.caption(escape_markdown(" · ".join(facts)))
            st.button(
                "Look closer",
                key=f"closer {row.sample_id}",
                type="tertiary",
                on_click=put,
                kwargs={"view": ONE, "sample": row.sample_id},
            )
    labels = found.table["label"].tolist()
    n_images = sum(number >= 0 for number in rounded)
    n_still = sum(number not in (-1, label) for number, label in zip(rounded, labels, strict=True))
    if n_images:
        st.caption(
            f"Rounded to 8 bits, as an image file stores them, {n_still} of the {n_images} "
            "changed images shown are still misclassified. The predictions in bold are those "
            "before rounding."
        )
