"""Compute: train a model or estimate distances beside the pages; watch, cancel, and go on meanwhile."""

from dataclasses import replace

import streamlit as st

from pages.shell import definitions, jobs, results, selection, tasks
from pages.shell.text import plain
from rbcore import running
from rbcore.best import BEST, title_of
from rbcore.charts import training_history
from rbcore.datasets import count_on_disk, known_folder
from rbcore.models import IMAGENET, MODELS
from rbcore.recipes import NAMES as RECIPE_NAMES
from rbcore.recipes import recipe_for
from rbcore.training import NO_WEIGHTS, newest_history

chosen = selection.current()
spec = chosen.spec
runner = jobs.runner()
st.title("Compute", anchor=False)
st.caption(
    "Work runs beside the pages, one job at a time. Cancelling keeps finished epochs and batches; started again, it goes on "
    "from there."
)

device = st.segmented_control(
    "Device", running.available_devices(), default=running.available_devices()[0], required=True
)
root, checksum, download = None, True, False
if spec.needs_folder:
    root = st.text_input(
        f"Folder of the {spec.title} images, on the machine the app runs on",
        value=str(known_folder(spec) or ""),
        help=f"{spec.source}. {spec.licence}. {spec.caution} The folder is remembered; {spec.folder_variable} sets it too.",
    )
    st.caption(f"There: {count_on_disk(spec)}.")
    if spec.official:
        left, right = st.columns(2)
        checksum = not left.checkbox(
            "These files are not the published ones", help="Their checksums are then not compared."
        )
        download = bool(spec.official.archives) and right.checkbox("Fetch published files that are missing")

recipe_name = st.segmented_control("Recipe", RECIPE_NAMES, default=RECIPE_NAMES[0], required=True)

train, estimate = st.columns(2, border=True)
with train, st.form("train", border=False):
    st.subheader(f"Train {chosen.model}", anchor=False)
    recipe = recipe_for(chosen.dataset, chosen.model, recipe_name)
    epochs = st.number_input("Epochs", 1, 1000, recipe.epochs)
    size = st.number_input("Size in pixels", 8, 400, spec.default_size, disabled=not spec.needs_folder)
    seed = st.number_input(
        "Seed", 0, 2**31 - 1, 0, help="Of the split, the initial weights and the order of the batches."
    )
    weights = None
    if chosen.model in MODELS and MODELS[chosen.model].imagenet:
        weights = st.selectbox(
            "Start from", [IMAGENET, NO_WEIGHTS], help="ImageNet weights as in the paper, or random ones."
        )
    keep = st.selectbox("Checkpoints to keep", ["all", "3", "1"], help="3: first, middle and last epoch.")
    name = st.text_input("Name of the run", placeholder="made of recipe, size, epochs and seed")
    st.caption(recipe.description)
    if st.form_submit_button("Train", type="primary"):
        tasks.submit_training(
            chosen.dataset,
            chosen.model,
            name=name or None,
            recipe=recipe_name,
            epochs=epochs,
            size=size,
            seed=seed,
            keep=keep,
            weights=weights,
            device=device,
            root=root or None,
            checksum=None if checksum else False,
            download=download,
        )
with estimate:
    st.subheader("Estimate distances", anchor=False)
    if chosen.run is None:
        st.info(f"No {chosen.model} is trained on {spec.title} yet; train one first.")
        st.button("Estimate", type="primary", disabled=True)
    elif chosen.method == BEST:
        st.info("The best of all attacks is joined from those computed; pick one of them to compute it.")
    else:
        n_test = chosen.run.facts["n_test"]
        st.markdown(f"{title_of(chosen.method)} on run `{chosen.run.name}`, epoch {chosen.epoch}")
        limit = st.number_input(
            "Test images", 1, n_test, n_test, help="The first so many in a random order fixed by the seed."
        )
        every = st.number_input("Every so many-th", 1, 100, 1, help="5 is the paper's choice for smoothing.")
        with st.expander("Parameters"):
            method = definitions.pick_parameters(chosen.method)
        wanted = replace(chosen, method=method)
        cost = results.cost(wanted, min(limit, -(-n_test // every)))
        if cost:
            st.caption(cost)
        if st.button("Estimate", type="primary"):
            if jobs.runner().is_active(tasks.estimate_key(wanted)):
                st.info("These distances are being computed already; wait for that job or cancel it first.")
            else:
                tasks.submit_estimate(wanted, limit=limit, every=every, device=device)
                if method != chosen.method:
                    st.info(plain(f"When done, they are offered in the sidebar as the method {method!r}."))


@st.fragment(run_every="2s" if runner.active() else None)
def show_history() -> None:
    """Draw loss and accuracy of the newest run, also while it trains."""
    name, history = newest_history(chosen.dataset, chosen.model)
    if history:
        with st.expander(f"Training of the newest run, {name}", expanded=bool(runner.active())):
            st.altair_chart(
                training_history(history),
                width="stretch",
                alt=f"Mean training loss and test accuracy after each of {len(history)} epochs; the last: "
                f"{history[-1]['test_accuracy']:.1%}.",
            )


show_history()
st.subheader("Jobs", anchor=False)
active = tuple(job.key for job in runner.active())
if active:
    jobs.watch(active)
ended = [job for job in reversed(list(runner.jobs.values())) if not job.is_active]
for job in ended:
    jobs.show_job(job)
if not active and not ended:
    st.caption("None yet on this server.")
st.caption(spec.caution)
