"""An image on a page: the strip of clean, perturbation and perturbed; what the network says of it.

And cards of many.
"""

import numpy as np
import pandas as pd
import streamlit as st

from pages.shell import closeup, results
from pages.shell.selection import Selection, put
from pages.shell.text import plain
from rbcore.charts import rendering
from rbcore.partitions import group_labels
from rbcore.store import StoredTable

COLUMNS = 3
FOUND = "found"
"""The usual status of a distance, which goes without saying."""
ONE = "one image"
"""The view of the page of images that a card leads to."""


def strip_of(clean: np.ndarray, perturbed: np.ndarray, name: str, side: int = 160) -> None:
    """Draw clean | perturbation magnified | perturbed.

    The clean image alone where there is no other.
    """
    if not np.isfinite(perturbed).all():
        st.image(rendering.to_uint8(clean, side), alt=f"{name}: clean")
        return
    picture = rendering.strip(clean, np.clip(perturbed, 0, 1), side)
    st.image(picture, width="stretch", alt=f"{name}: clean, perturbation magnified, perturbed")


def class_name(chosen: Selection, number: int) -> str:
    """Return the name of a class; of none, a question mark."""
    return chosen.run.facts["classes"][number] if number >= 0 else "?"


def network_class(chosen: Selection, row) -> str:
    """Return the name of the class that the network itself gives the clean image, whatever classifier the distance is of."""
    return class_name(chosen, getattr(row, "network_prediction", row.prediction))


def before_and_after(chosen: Selection, row) -> str:
    """Say what the network says of the clean and of the perturbed image, in Markdown."""
    clean = f"**{plain(network_class(chosen, row))}** ({row.probability:.0%})"
    if np.isnan(row.distance):
        why = (
            "misclassified without any attack"
            if row.status == "misclassified"
            else f"{row.status}: no distance"
        )
        return f"{clean} · true class **{plain(class_name(chosen, row.label))}** · {why}"
    after = (
        f"**{plain(class_name(chosen, row.perturbed_prediction))}** "
        f"({row.perturbed_probability:.0%})"
    )
    return f"{clean} → {after} · distance **{row.distance:.3g}**"


def rounding_in_words(chosen: Selection, row, prediction: int) -> str:
    """Say what is left of a change once the image is rounded to 8 bits."""
    if prediction == row.label:
        return f"rounded to 8 bits: {class_name(chosen, prediction)} again"
    return (
        f"rounded to 8 bits: {'still' if prediction == row.perturbed_prediction else 'then'} "
        f"{class_name(chosen, prediction)}"
    )


def draw_cards(
    chosen: Selection,
    stored: StoredTable,
    members: pd.DataFrame,
    notes: dict[str, str] | None = None,
) -> None:
    """Draw a card an image of some rows of a table, three in a row, and say how many stay misclassified once rounded."""
    samples = tuple(members["sample_id"])
    key = stored.key.digest
    found = results.perturbations(key, samples, chosen)
    after_rounding = closeup.rounded(key, samples, chosen)
    groups = group_labels(members, chosen.by).tolist()
    for index, row in enumerate(found.table.itertuples()):
        if (
            index % COLUMNS == 0
        ):  # each row its own columns, so that the order holds where a narrow screen stacks them
            columns = st.columns(COLUMNS)
        clean, perturbed = found.clean[index], found.perturbed[index]
        with columns[index % COLUMNS].container(border=True):
            strip_of(clean, perturbed, row.sample_id)
            st.markdown(before_and_after(chosen, row))
            if notes is not None:
                st.markdown(notes[row.sample_id])
            facts = [row.sample_id, f"{chosen.partition_title} {groups[index]}"]
            if after_rounding[index] >= 0:
                facts.append(
                    f"change magnified {rendering.magnification(clean, perturbed):,.0f} times"
                )
                facts += [row.status] if row.status != FOUND else []
                facts.append(rounding_in_words(chosen, row, after_rounding[index]))
            st.caption(plain(" · ".join(facts)))
            st.button(
                "Look closer",
                key=f"closer {row.sample_id}",
                type="tertiary",
                on_click=put,
                kwargs={"view": ONE, "sample": row.sample_id},
            )
    labels = found.table["label"].tolist()
    is_image = [number >= 0 for number in after_rounding]
    n_still = sum(
        number not in (-1, label) for number, label in zip(after_rounding, labels, strict=True)
    )
    if any(is_image):
        st.caption(
            f"Rounded to 8 bits, as a picture file would hold them, {n_still} of the "
            f"{sum(is_image)} changed images shown are still misclassified. The predictions in "
            "bold are those of the images before rounding."
        )
