"""The form of a training: the images, the recipe, the mitigation."""

from pathlib import Path

import streamlit as st

from pages.shell import mitigation_form, tasks
from pages.shell.selection import Selection
from pages.shell.text import escape_markdown
from rbcore.datasets import DatasetRequest, count_on_disk, known_folder
from rbcore.models import MODELS
from rbcore.runs.imagenet import IMAGENET
from rbcore.training.recipes import NAMES as RECIPE_NAMES
from rbcore.training.recipes import recipe_for
from rbcore.training.request import TrainingRequest
from rbcore.training.train import NO_WEIGHTS

QUEUED = "Queued: its progress is at the top of this page."


def draw(chosen: Selection, device: str) -> None:
    """Draw the form of a training of the selection's model on its dataset, and start it."""
    spec = chosen.spec
    st.subheader(escape_markdown(f"Train {chosen.model}"), anchor=False)
    root, checksum, download = None, True, False
    if spec.needs_folder:
        root = st.text_input(
            f"Folder of the {spec.title} images, on the machine the app runs on",
            value=str(known_folder(spec) or ""),
            help=(
                f"{spec.source}. {spec.license}. {spec.caution} The folder is remembered; "
                f"{spec.folder_variable} sets it too."
            ),
        )
        st.caption(escape_markdown(f"There: {count_on_disk(spec)}."))
        if spec.official:
            checksum = not st.checkbox(
                "These files are not the published ones",
                help="Their checksums are then not compared.",
            )
            download = bool(spec.official.archives) and st.checkbox(
                "Fetch published files that are missing"
            )
    recipe_name = st.segmented_control(
        "Recipe", RECIPE_NAMES, default=RECIPE_NAMES[0], required=True
    )
    recipe = recipe_for(chosen.dataset, chosen.model, recipe_name)
    left, right = st.columns(2)
    epochs = left.number_input("Epochs", 1, 1000, recipe.epochs)
    seed = right.number_input(
        "Seed",
        0,
        2**31 - 1,
        0,
        help="Of the split, the initial weights and the order of the batches.",
    )
    keep = left.selectbox(
        "Checkpoints to keep", ["all", "3", "1"], help="3: first, middle and last epoch."
    )
    size = spec.default_size
    if spec.needs_folder:
        size = right.number_input("Size in pixels", 8, 400, spec.default_size)
    weights = None
    if chosen.model in MODELS and MODELS[chosen.model].imagenet:
        weights = st.selectbox(
            "Start from",
            [IMAGENET, NO_WEIGHTS],
            help="ImageNet weights as in the paper, or random ones.",
        )
    name = st.text_input(
        "Name of the run", placeholder="made of recipe, size, epochs, seed and mitigation"
    )
    st.caption(recipe.description)
    mitigation = mitigation_form.pick(chosen)
    if st.button("Train", type="primary", disabled=not mitigation_form.is_ready(mitigation)):
        folder = Path(root) if root else None
        data = DatasetRequest(
            chosen.dataset,
            folder,
            size,
            seed,
            checksum=None if checksum else False,
            download=download,
        )
        training = TrainingRequest(
            chosen.model, recipe_name, epochs, name or None, keep, weights, mitigation
        )
        tasks.submit_training(data, training, device)
        st.toast(QUEUED)
