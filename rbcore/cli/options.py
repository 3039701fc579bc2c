"""What several commands take and print: options, tables, a progress bar."""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn, get_args, get_origin, get_type_hints

import pandas as pd
import typer

from rbcore.errors import MethodError, ModelError, RobustnessBiasError
from rbcore.models import MODELS
from rbcore.parameters import Setting, settings_of
from rbcore.reports.spreadsheet import csv_text
from rbcore.runs.checkpoints import Run
from rbcore.runtime import Progress


class Format(StrEnum):
    """How a table is printed."""

    table = "table"
    csv = "csv"
    json = "json"


FormatOption = Annotated[Format, typer.Option("--format", help="How the table is printed.")]
DatasetName = Annotated[
    str, typer.Argument(metavar="DATASET", help="Name of a dataset; see: python -m rbcore datasets")
]
ModelName = Annotated[
    str, typer.Argument(metavar="MODEL", help="Name of a model; see: python -m rbcore models")
]
MethodName = Annotated[
    str,
    typer.Argument(metavar="METHOD", help="method or method:preset; see: python -m rbcore methods"),
]
RunName = Annotated[
    str | None,
    typer.Option("--run", help="Name of the run; the newest complete plain one by default."),
]
Epoch = Annotated[str, typer.Option("--epoch", help="first, middle, last, all or a number from 1.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda[:N].")]
Root = Annotated[
    Path | None,
    typer.Option("--root", help="Folder of the dataset's files; remembered for the next call."),
]
NoChecksum = Annotated[
    bool,
    typer.Option(
        "--no-checksum",
        help="Accept files that are not the published ones; remembered with the folder.",
    ),
]
Builder = Annotated[
    Path | None,
    typer.Option(
        "--builder", help="Python file with build(input_shape, n_classes); its code runs."
    ),
]
Split = Annotated[
    str,
    typer.Option("--split", help="test, train, or validation for a run trained with --validation."),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A parameter of the method; repeatable."),
]


@dataclasses.dataclass(frozen=True)
class RunChoice:
    """Which run of a model, and which of its epochs."""

    dataset: DatasetName
    model: ModelName
    epoch: Epoch = "last"
    run: RunName = None
    root: Root = None

    def epochs(self, run: Run) -> list[int]:
        """Return the epochs of a run that are meant."""
        return list(run.epochs) if self.epoch == "all" else [run.epoch(self.epoch)]


@dataclasses.dataclass(frozen=True)
class MethodChoice:
    """A distance method and its settings."""

    method: MethodName
    settings: Settings = None

    @property
    def parameters(self) -> dict[str, str]:
        """The method's parameters that are set."""
        return parse_settings(self.settings)


def options_from_records(
    command: Callable[..., None], without: tuple[str, ...] = (), **records: type
) -> Callable[..., None]:
    """Let a command take records: each of their fields becomes one option (or argument).

    A record is a dataclass or a pydantic model. A field is declared by
    ``Annotated[int | None, Field(ge=1, description="Only the first N images.")] = None``, so that a
    record of the library knows no Typer (a ``title`` is the option's metavar); by
    `rbcore.parameters.setting`; or by ``Annotated[..., typer.Option(...)]``, which is used as it
    is. The option is named after the field. Parameters that are not records stay options.

    Parameters
    ----------
    command
        The command's function.
    without
        Fields that get no option; they keep their defaults.
    **records
        Records that are made when the command line is, for parameters of these names.

    Raises
    ------
    TypeError
        If two records have a field of the same name.
    """
    hints = get_type_hints(command, include_extras=True) | records
    options: dict[str, inspect.Parameter] = {}
    fields: dict[str, list[str]] = {}
    for name, parameter in inspect.signature(command).parameters.items():
        is_record = dataclasses.is_dataclass(hints[name]) or hasattr(hints[name], "model_fields")
        added = (
            _field_options(hints[name]) if is_record else {name: (hints[name], parameter.default)}
        )
        added = {field: option for field, option in added.items() if field not in without}
        if options.keys() & added:
            raise TypeError(f"{command.__name__} has {sorted(options.keys() & added)} twice.")
        if is_record:
            fields[name] = list(added)
        for option, (annotation, default) in added.items():
            options[option] = inspect.Parameter(
                option, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
            )

    @functools.wraps(command)
    def run(**given: Any) -> None:
        made = {
            name: _made(hints[name], {field: given.pop(field) for field in names})
            for name, names in fields.items()
        }
        command(**made, **given)

    run.__signature__ = inspect.Signature(list(options.values()))  # type: ignore[attr-defined]
    run.__annotations__ = {name: option.annotation for name, option in options.items()}
    return run


def _made(record: Any, values: dict[str, object]) -> Any:
    """Build a record; what pydantic refuses is told in one sentence."""
    from pydantic import ValidationError

    try:
        return record(**values)
    except ValidationError as error:
        first = error.errors()[0]
        name = "-".join(str(part) for part in first["loc"]).replace("_", "-")
        raise RobustnessBiasError(f"--{name} {first['input']}: {first['msg']}.") from None


def _field_options(record: Any) -> dict[str, tuple[Any, Any]]:
    """Return the annotation for Typer and the default of every field of a record."""
    hints = get_type_hints(record, include_extras=True)
    signature = inspect.signature(record)
    settings = settings_of(record) if hasattr(record, "__dataclass_fields__") else ()
    declared = {found.name: _of_setting(found) for found in settings}
    return {
        name: declared.get(name) or (_for_typer(name, hints[name]), _default(record, parameter))
        for name, parameter in signature.parameters.items()
        if name in declared or not declared
    }


def _of_setting(declared: Setting) -> tuple[Any, Any]:
    """Return the annotation for Typer and the default of a field declared by `setting`."""
    parameter, option = declared.parameter, declared.parameter.spelled_option
    kind: Any = type(parameter.default)
    meaning = f"{parameter.meaning[:1].upper()}{parameter.meaning[1:]}."
    if declared.default is dataclasses.MISSING:
        argument = typer.Argument(metavar=option.upper(), help=meaning)
        return Annotated[kind, argument], inspect.Parameter.empty
    if kind is tuple:
        kind = str
    if kind is bool and declared.default is None:  # a flag that says no
        return Annotated[bool | None, typer.Option(f" /--{option}", help=meaning)], None
    hint = kind if declared.default is not None else kind | None
    return Annotated[hint, typer.Option(f"--{option}", help=meaning)], declared.default


def _default(record: Any, parameter: inspect.Parameter) -> Any:
    if hasattr(record, "model_fields") and not record.model_fields[parameter.name].is_required():
        return record.model_fields[parameter.name].get_default(call_default_factory=True)
    return parameter.default


def _for_typer(name: str, hint: Any) -> Any:
    """Replace a field's description and range by an option; leave what is one already."""
    kind, *metadata = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    own = next((item for item in metadata if isinstance(item, typer.models.ParameterInfo)), None)
    if own is not None:
        return Annotated[kind, own]
    found: dict[str, Any] = {}
    for item in metadata:
        for part in (item, *getattr(item, "metadata", ())):
            given = {key: getattr(part, key, None) for key in ("description", "title", "ge", "le")}
            found |= {
                key: value for key, value in given.items() if isinstance(value, str | float | int)
            }
    option = typer.Option(
        f"--{name.replace('_', '-')}",
        help=found.get("description"),
        metavar=found.get("title"),
        min=found.get("ge"),
        max=found.get("le"),
    )
    return Annotated[kind, option]


def print_table(table: pd.DataFrame, form: Format) -> None:
    """Print a table to standard output."""
    if form is Format.csv:
        typer.echo(csv_text(table), nl=False)
    elif form is Format.json:
        typer.echo(table.to_json(orient="records", indent=1))
    else:
        typer.echo(
            table.to_string(index=False, float_format="{:.4g}".format, na_rep="-", max_colwidth=80)
        )


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Give a progress callable that draws one tqdm bar after another on standard error."""
    from tqdm import tqdm

    current: tqdm[NoReturn] | None = None

    def report(done: int, total: int, what: str) -> None:
        nonlocal current
        current = current or tqdm(total=total)
        current.total = total
        current.set_description_str(what, refresh=False)
        current.update(done - current.n)
        if done >= total:
            current.close()
            current = None

    try:
        yield report
    finally:
        if current is not None:
            current.close()


def parse_settings(
    settings: list[str] | None, option: str = "--set", what: str = "VALUE"
) -> dict[str, str]:
    """Turn ``NAME=VALUE`` texts into parameters."""
    pairs = [text.partition("=") for text in settings or []]
    for name, equals, value in pairs:
        if not (name and equals and value):
            raise MethodError(f"{option} {name}{equals}{value} is not of the form NAME={what}.")
    return {name: value for name, _, value in pairs}


def use_builder(builder: Path | None, model: str) -> None:
    """Register the builder of a Python file, if one is given, and check that the model exists."""
    from rbcore.runs.foreign_weights import register_builder

    if builder is not None and register_builder(builder) != model:
        raise ModelError(
            f"The builder {builder} is called {builder.stem!r}; use that name instead of {model!r}."
        )
    MODELS[model]
