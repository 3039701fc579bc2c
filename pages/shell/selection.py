"""The selection all pages share: drawn once in the sidebar by app.py, kept in the URL, read by every page."""

import math
from dataclasses import dataclass

import streamlit as st

import rbcore as rb
from pages.shell import menu
from pages.shell.text import plain
from rbcore import store
from rbcore.datasets import DATASETS, DatasetSpec, attributes
from rbcore.distances import best, method_spellings
from rbcore.errors import StoreError
from rbcore.models import MODELS
from rbcore.partitions import CLASS
from rbcore.runs.checkpoints import Run, damaged_runs

STATE, EPOCH_PUT = "selection", "epoch was put"
MOST_NAMED = 3
"""Damaged files that the sidebar names."""
USUAL_METHOD = "deepfool"
"""What a newcomer sees: the one method that applies to every model."""


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
        return self.spec.class_title if self.by == CLASS else self.by

    @property
    def model_title(self) -> str:
        """The model's name for people.

        An imported one of a builder this server does not know keeps its own.
        """
        return MODELS[self.model].title if self.model in MODELS else self.model

    @property
    def method_note(self) -> str:
        """What the method's distances are of the true ones."""
        return best.note_of(self.method)

    @property
    def title(self) -> str:
        """One line that says what is shown."""
        parts = [self.spec.title, f"by {self.partition_title}", self.model_title]
        parts += [f"epoch {self.epoch} of {self.run.n_epochs}"] if self.run else []
        return " · ".join([*parts, best.title_of(self.method)])


def pick() -> Selection:
    """Draw the pickers in the sidebar and keep what they say for the pages."""
    with st.sidebar:
        dataset = picker("Dataset", "dataset", list(DATASETS))
        all_runs = rb.list_runs(dataset)
        by = picker("Partition", "by", partitions_on_offer(DATASETS[dataset], all_runs))
        model = picker(
            "Model", "model", list(dict.fromkeys([*MODELS, *(run.model for run in all_runs)]))
        )
        # The first that was trained is the default, so that a short link opens the same run
        # after another training.
        runs = sorted(
            (run for run in reversed(all_runs) if run.model == model),
            key=lambda run: not run.is_usual,
        )
        run = epoch = None
        _say_what_vanished(dataset, model, [run.name for run in runs])
        if runs:
            name = picker("Run", "run", [run.name for run in runs])
            run = next(run for run in runs if run.name == name)
            _go_to_last_epoch_of_another(run)
            epoch = int(
                picker(
                    f"Epoch (of {run.n_epochs})",
                    "epoch",
                    [str(epoch) for epoch in reversed(run.epochs)],
                )
            )
        elif "run" in st.query_params:
            st.warning(
                plain(
                    f"The link names the run {st.query_params['run']!r}, but nothing "
                    "is trained here yet."
                )
            )
        method = picker("Distance method", "method", methods_on_offer(model, run, epoch))
        _say_what_is_damaged()
    chosen = Selection(dataset, by, model, run, epoch, method)
    st.session_state[STATE] = chosen
    return chosen


def _go_to_last_epoch_of_another(run: Run) -> None:
    """Forget the epoch picked where the run shown before trained for another number of them, unless a click has just set it."""
    was_put = st.session_state.pop(EPOCH_PUT, False)
    before: Selection | None = st.session_state.get(STATE)
    if (
        not was_put
        and before is not None
        and before.run is not None
        and before.run.n_epochs != run.n_epochs
    ):
        st.session_state["epoch"] = str(run.epochs[-1])


def _say_what_vanished(dataset: str, model: str, names: list[str]) -> None:
    """Say that the run shown until now is gone: somebody deleted it, or its newest sidecar was damaged."""
    before: Selection | None = st.session_state.get(STATE)
    if before is None or before.run is None or (before.dataset, before.model) != (dataset, model):
        return
    if before.run.name not in names:
        st.warning(
            plain(
                f"The run {before.run.name!r} is gone{f'; showing {names[0]!r}' if names else ''}."
            )
        )


def _say_what_is_damaged() -> None:
    sentences = [*damaged_runs(), *store.damaged_tables()]
    if sentences:
        more = f" And {len(sentences) - MOST_NAMED:,} more." if len(sentences) > MOST_NAMED else ""
        st.warning(
            plain(f"Left out, everything else works: {' '.join(sentences[:MOST_NAMED])}{more}")
        )


def methods_on_offer(model: str, run: Run | None, epoch: int | None) -> list[str]:
    """Return the methods that apply to a model, the usual one first, those computed with other parameters, and the best of all."""
    is_linear = model in MODELS and MODELS[model].is_linear
    names = sorted(method_spellings(is_linear=is_linear), key=lambda name: name != USUAL_METHOD)
    stored = []
    if run is not None and epoch is not None:
        try:
            stored = rb.stored_methods(run, epoch)
        except (
            StoreError
        ) as error:  # one damaged sidecar: the page says what it cannot show, the other epochs stay
            st.warning(plain(str(error)))
    return [*names, *(name for name in stored if name not in names), best.BEST]


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
            names = attributes.partitions_of(run.facts["dataset_fingerprint"])
        except rb.RobustnessBiasError as error:
            st.warning(plain(str(error)))
    first = [spec.shown_by] if spec.shown_by in names else []
    return list(dict.fromkeys([*first, *names, *attributes.crossed(names)]))


def picker(label: str, key: str, options: list[str], help: str | None = None) -> str:
    """Draw one picker bound to the URL.

    A value in the URL that is not on offer is said, never swallowed.

    The options are the names the library and the command line use, because the URL holds what the
    picker shows; the first is the default.
    """
    asked = st.query_params.get(key)
    if key in st.session_state:
        # What was picked can leave the offer when another picker changes. Streamlit would
        # draw the default then, but keep the old value in the URL, so that a copied link
        # opened something else.
        if st.session_state[key] not in options:
            st.session_state[key] = options[0]
    elif asked is not None and asked not in options:
        st.warning(
            plain(
                f"The link asks for {key} {asked!r}, which is not available here; "
                f"showing {options[0]!r}."
            )
        )
    return st.selectbox(label, options, key=key, bind="query-params", help=help)


def number(
    label: str, key: str, low: float, high: float | None, default: float, *, help: str | None = None
) -> int | float:
    """Draw a number bound to the URL; whole where ``default`` is.

    A value in a link that is none, or out of range, is said.
    """
    kind = type(default)
    asked = st.query_params.get(key)
    if key in st.session_state:
        if not _is_number(
            st.session_state[key], low, high, kind
        ):  # the range can shrink when another picker changes
            st.session_state[key] = default
    elif asked is not None and not _is_number(asked, low, high, kind):
        reach = f"from {low:g}" + (f" to {high:,g}" if high is not None else "")
        what = "whole number" if kind is int else "number"
        st.warning(
            plain(
                f"The link asks for {key} {asked!r}, which is not a {what} {reach}; "
                f"showing {default:g}."
            )
        )
        st.session_state[key] = default
    return st.number_input(label, low, high, default, key=key, bind="query-params", help=help)


def _is_number(value: object, low: float, high: float | None, kind: type) -> bool:
    try:
        given = kind(str(value))
    except ValueError:
        return False
    return low <= given <= (high if high is not None else math.inf) and math.isfinite(given)


def put(**picks: str | int | float) -> None:
    """Set pickers of any page by their keys, as a click on a chart does.

    Call it in a callback, before they are drawn again.
    """
    st.session_state[EPOCH_PUT] = "epoch" in picks
    for key, value in picks.items():
        if (
            key not in st.session_state
        ):  # a field that was never drawn does not write itself into the URL
            st.query_params[key] = str(value)
        st.session_state[key] = value


def current() -> Selection:
    """Return the selection; a page that was opened before app.py ever ran starts the app instead."""
    if STATE not in st.session_state:
        st.navigation(menu.sections())
        st.rerun()
    return st.session_state[STATE]
