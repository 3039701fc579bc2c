"""The selection that all pages share: what is looked at, and by which definitions.

The sidebar draws its pickers; the URL encodes it.
"""

from dataclasses import dataclass

import streamlit as st

import rbcore as rb
from pages.shell import navigation
from pages.shell.text import escape_markdown
from rbcore.datasets import DATASETS, DatasetSpec, attributes
from rbcore.distances import best
from rbcore.measures import DEFAULT_POLICY, Policy
from rbcore.models import MODELS
from rbcore.partitions import CLASS
from rbcore.runs.checkpoints import Run

STATE, EPOCH_PUT = "selection", "epoch was put"


@dataclass(frozen=True)
class Selection:
    """What is looked at.

    Attributes
    ----------
    dataset, model, method
        Names, as the library and the command line spell them.
    by
        The partition.
    run, epoch
        None where nothing is trained yet.
    policy
        The definitions that measures follow.
    """

    dataset: str
    by: str
    model: str
    run: Run | None
    epoch: int | None
    method: str
    policy: Policy = DEFAULT_POLICY

    @property
    def spec(self) -> DatasetSpec:
        """The declaration of the dataset."""
        return DATASETS[self.dataset]

    @property
    def partition_title(self) -> str:
        """The title of the partition."""
        return self.spec.class_title if self.by == CLASS else self.by

    @property
    def model_title(self) -> str:
        """The title of the model; its name where it was imported by a builder unknown here."""
        return MODELS[self.model].title if self.model in MODELS else self.model

    @property
    def method_title(self) -> str:
        """The title of the method."""
        return best.title_of(self.method)

    @property
    def method_note(self) -> str:
        """Which bound of the true distances the method gives."""
        return best.note_of(self.method)

    @property
    def title(self) -> str:
        """One line that says what is shown."""
        parts = [self.spec.title, f"by {self.partition_title}", self.model_title]
        parts += [f"epoch {self.epoch} of {self.run.n_epochs}"] if self.run else []
        return " · ".join([*parts, self.method_title])


def current() -> Selection:
    """Return the selection; where app.py has not run yet, start the app instead."""
    if STATE not in st.session_state:
        st.navigation(navigation.sections())
        st.rerun()
    return st.session_state[STATE]


def put(**picks: str | int | float) -> None:
    """Set pickers of any page by their keys, as a click on a chart does.

    Call it in a callback, before they are drawn again.
    """
    st.session_state[EPOCH_PUT] = "epoch" in picks
    for key, value in picks.items():
        if key not in st.session_state:
            # A field that was never drawn does not write itself into the URL.
            st.query_params[key] = str(value)
        st.session_state[key] = value


def partitions_on_offer(spec: DatasetSpec, runs: list[Run]) -> list[str]:
    """Return the dataset's partitions, and the intersections of its attributes where they are few.

    Where the files decide on the attributes, they are those of the data of the run that is shown,
    else of the newest.
    """
    names = list(spec.partitions)
    if spec.is_open and runs:
        asked = st.session_state.get("run", st.query_params.get("run"))
        run = next((run for run in runs if run.name == asked), runs[0])
        try:
            names = attributes.partitions_of(run.facts.dataset_fingerprint)
        except rb.RobustnessBiasError as error:
            st.warning(escape_markdown(str(error)))
    first = [spec.shown_by] if spec.shown_by in names else []
    return list(dict.fromkeys([*first, *names, *attributes.crossed(names)]))
