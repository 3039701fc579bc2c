"""Your data and model: check a folder of images, and import weights as a run. No code."""

from pathlib import Path

import streamlit as st

from pages.shell import imports, jobs, navigation, read_only
from pages.shell.forms import picker
from pages.shell.selection import Selection, current, put
from pages.shell.text import escape_markdown
from rbcore.datasets import DATASETS, DatasetRequest, count_on_disk, known_folder
from rbcore.errors import RobustnessBiasError
from rbcore.models import MODELS
from rbcore.runs.importing import ImportRequest

CHECKPOINTS = ["pt", "pth", "th", "ckpt", "bin", "safetensors"]
OWN = "folder"
SMALLEST, LARGEST = 8, 400
OUTPUTS = ("detected", "logits", "probabilities")


def render(selection: Selection) -> None:
    """Draw the two forms, and how the jobs they started went."""
    st.title("Your data and model", anchor=False)
    if read_only.is_read_only():
        st.info(
            "This server is read-only, so nothing can be imported here. On your own machine the "
            "same page takes a folder of images and a checkpoint; see README.md."
        )
        return
    st.markdown(
        "Name a folder of images, see which of them can be used, and go on to train a model or to "
        "import a trained one. No code."
    )
    st.subheader("Images", anchor=False)
    draw_folder_form()
    st.subheader("A trained model", anchor=False)
    draw_weights_form(selection)
    st.caption("Faces are people: use only images you may use, and know who assigned their labels.")


def draw_folder_form() -> None:
    """Ask for a dataset's folder, show what it has to contain, and check it."""
    names = sorted(
        (name for name in DATASETS if DATASETS[name].needs_folder), key=lambda name: name != OWN
    )
    name = picker(
        "Which images",
        "bring",
        names,
        help="folder: your own images. The others are published datasets.",
    )
    spec = DATASETS[name]
    left, right = st.columns(2, gap="medium")
    with right:
        st.markdown(f"**{escape_markdown(spec.title)}** has to be laid out like this:")
        st.code(spec.layout, language=None)
        st.caption(escape_markdown(f"{spec.source}. License: {spec.license}."))
    with left:
        root = st.text_input(
            "Folder, on the machine the app runs on",
            value=str(known_folder(spec) or ""),
            key=f"root of {name}",
            help=(
                "The files stay where they are. The folder is remembered; "
                f"{spec.folder_variable} sets it too."
            ),
        )
        st.caption(f"Remembered: {escape_markdown(count_on_disk(spec))}.")
        size = st.number_input(
            "Size in pixels", SMALLEST, LARGEST, spec.default_size, key=f"size of {name}"
        )
        checksum, download = None, False
        if spec.official:
            is_other = st.checkbox(
                "These files are not the published ones",
                key=f"unchecked {name}",
                help="Their checksums are then not compared, now or later, for this folder.",
            )
            checksum = False if is_other else None
            download = bool(spec.official.archives) and st.checkbox(
                "Download published files that are missing", key=f"download {name}"
            )
        if st.button("Check", type="primary"):
            if root or download:
                job = imports.submit_check(
                    DatasetRequest(
                        name,
                        Path(root) if root else None,
                        size,
                        checksum=checksum,
                        download=download,
                    )
                )
                st.session_state[f"check of {name}"] = job.key
            else:
                st.warning("Enter the folder first.")
        follow(st.session_state.get(f"check of {name}"), dataset=name)


def draw_weights_form(selection: Selection) -> None:
    """Ask for a checkpoint and what it holds, and import it as a run."""
    datasets = list(DATASETS)
    left, right = st.columns(2, gap="medium")
    with left:
        uploaded = st.file_uploader(
            "A checkpoint: safetensors, or a PyTorch state dict", type=CHECKPOINTS
        )
        path = st.text_input(
            "or its path, on the machine the app runs on",
            disabled=uploaded is not None,
            key="path of weights",
        )
        st.caption(
            "Only its numbers are read: no code in it is ever run. Keys such as *state_dict* and "
            "the prefix *module.* are handled."
        )
    with right:
        dataset = st.selectbox("Measured on", datasets, datasets.index(selection.dataset))
        models = list(MODELS)
        likely = models.index(selection.model) if selection.model in models else 0
        model = st.selectbox(
            "Architecture", models, likely, help="The one it was trained with; no other fits."
        )
        st.caption(escape_markdown(f"{MODELS[model].description}."))
    spec = DATASETS[dataset]
    with st.expander("Normalization, size, name"):
        shape = "one number" if spec.channels == 1 else f"{spec.channels} numbers"
        mean = st.text_input(
            "Mean", placeholder=f"{shape} in units of [0, 1]; empty: the dataset's own"
        )
        std = st.text_input("Standard deviation", placeholder=f"{shape}; empty: the dataset's own")
        size = st.number_input(
            "Size in pixels",
            SMALLEST,
            LARGEST,
            spec.default_size,
            disabled=not spec.needs_folder,
            key=f"own size {dataset}",
        )
        seed = st.number_input(
            "Seed of the split", 0, 2**31 - 1, 0, help="Where no split is published."
        )
        outputs = st.selectbox(
            "Its outputs",
            OUTPUTS,
            help=(
                "Distances need logits. Choose what the network returns where outputs between 0 "
                "and 1 leave that open."
            ),
        )
        weights_key = st.text_input(
            "Which weights",
            placeholder="as in model_ema; empty: the first that fit",
            help=("Their key, where the file holds several sets. The result says which was read."),
        )
        name = st.text_input("Name of the run", placeholder="the name of the file")
    if spec.needs_folder and known_folder(spec) is None:
        st.caption(
            f"The folder of {escape_markdown(spec.title)} is not known yet: enter and check it "
            "above first."
        )
    if st.button("Import", type="primary"):
        try:
            wanted = ImportRequest(
                model,
                Path(path),
                name or None,
                imports.numbers_of(mean, "The mean"),
                imports.numbers_of(std, "The standard deviation"),
                weights_key.strip() or None,
                None if outputs == OUTPUTS[0] else outputs,
            )
            job, run = imports.submit_import(
                DatasetRequest(dataset, size=size, seed=seed),
                wanted,
                None if uploaded is None else (uploaded.name, uploaded.getvalue()),
            )
        except RobustnessBiasError as error:
            st.error(escape_markdown(str(error)))
        else:
            st.session_state["import"] = job.key, {"dataset": dataset, "model": model, "run": run}
    key, picks = st.session_state.get("import", (None, {}))
    follow(key, **picks)


def follow(key: str | None, **picks: str) -> None:
    """Follow a job; when it is done, lead on to what it made."""
    job = jobs.runner().jobs.get(key)
    if job is None:
        return
    if job.is_active:
        jobs.watch((key,))
        return
    jobs.draw_job(job)
    if job.state == jobs.DONE:
        pages = {"Compute": "Measure it" if "run" in picks else "Train a model on it"}
        pages |= {"Curves": "Look at its curves"} if "run" in picks else {}
        with st.container(horizontal=True):
            for title, label in pages.items():
                if st.button(label, key=f"{title} {key}", on_click=put, kwargs=picks):
                    navigation.go(title)


render(current())
