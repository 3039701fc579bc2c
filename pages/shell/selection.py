"""The selection all pages share: drawn once in the sidebar by app.py, kept in the URL, read by every page."""

from dataclasses import dataclass

import streamlit as st

import rbcore as rb
from pages.shell import menu
from pages.shell.text import plain
from rbcore.datasets import DATASETS, DatasetSpec
from rbcore.distances import method_spellings
from rbcore.models import MODELS
from rbcore.models.checkpoints import Run

STATE = "selection"


@dataclass(frozen=True)
class Selection:
    """What is being looked at; ``run`` and ``epoch`` are None where nothing is trained yet."""

    dataset: str
    by: str
    model: str
    run: Run | None
    epoch: int | None
    method: str

    @property
    def spec(self) -> DatasetSpec:
        """The dataset's registered facts."""
        return DATASETS[self.dataset]

    @property
    def partition_title(self) -> str:
        """The partition's name for people."""
        return self.spec.class_title if self.by == "class" else self.by

    @property
    def title(self) -> str:
        """One line that says what is shown."""
        parts = [self.spec.title, f"by {self.partition_title}", MODELS[self.model].title]
        parts += [f"epoch {self.epoch} of {self.run.n_epochs}"] if self.run else []
        return " · ".join([*parts, method_spellings()[self.method]])


def pick() -> Selection:
    """Draw the pickers in the sidebar and keep what they say for the pages."""
    with st.sidebar:
        dataset = _picker("Dataset", "dataset", list(DATASETS))
        by = _picker("Partition", "by", list(DATASETS[dataset].partitions))
        model = _picker("Model", "model", list(MODELS))
        runs = sorted(rb.list_runs(dataset, model), key=lambda run: not (run.is_plain and run.is_complete))
        run = epoch = None
        if runs:
            name = _picker("Run", "run", [run.name for run in runs])
            run = next(run for run in runs if run.name == name)
            epoch = int(_picker(f"Epoch (of {run.n_epochs})", "epoch", [str(epoch) for epoch in reversed(run.epochs)]))
        elif "run" in st.query_params:
            st.warning(f"The link names the run {st.query_params['run']!r}, but nothing is trained here yet.")
        method = _picker("Distance method", "method", list(method_spellings()))
    chosen = Selection(dataset, by, model, run, epoch, method)
    st.session_state[STATE] = chosen
    return chosen


def _picker(label: str, key: str, options: list[str]) -> str:
    """Draw one picker bound to the URL; a value in the URL that is not on offer is said, never swallowed.

    The options are the names the library and the command line use, because the URL holds what the picker shows.
    """
    asked = st.query_params.get(key)
    if asked is not None and asked not in options:
        st.warning(plain(f"The link asks for {key} {asked!r}, which is not available here; showing {options[0]!r}."))
    return st.selectbox(label, options, key=key, bind="query-params")


def current() -> Selection:
    """Return the selection; a page that was opened before app.py ever ran starts the app instead."""
    if STATE not in st.session_state:
        st.navigation(menu.pages())
        st.rerun()
    return st.session_state[STATE]
