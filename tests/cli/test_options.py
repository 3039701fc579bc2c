from dataclasses import dataclass
from typing import Annotated, Literal

import pytest
import typer
from pydantic import BaseModel, Field, field_validator
from typer.testing import CliRunner

from rbcore.cli.options import options_from_records
from rbcore.errors import RobustnessBiasError


@dataclass(frozen=True)
class Which:
    name: Annotated[str, typer.Argument(metavar="NAME")]
    limit: Annotated[int | None, Field(ge=1, le=9, description="Only the first N images.")] = None
    at_least: int | None = None


class How(BaseModel):
    steps: Annotated[int, Field(ge=2, description="Largest number of steps.")] = 5
    quick: Annotated[bool, Field(description="A tiny budget.")] = False
    kind: Literal["plain", "paper"] = "plain"
    tags: Annotated[list[str], Field(default_factory=list, description="Repeatable.")]

    @field_validator("tags")
    @classmethod
    def known(cls, tags):
        if "x" in tags:
            raise ValueError("x is no tag")
        return tags


@pytest.fixture
def invoke():
    seen = []
    cli = typer.Typer()

    @cli.command()
    @options_from_records
    def show(which: Which, how: How, device: Annotated[str, typer.Option("--device")] = "cpu"):
        """Show what was given."""
        seen.append((which, how, device))

    def call(*arguments):
        return CliRunner().invoke(cli, arguments), seen

    return call


def test_records_come_from_options_and_defaults(invoke):
    done, seen = invoke("digits", "--limit", "3", "--quick", "--tags", "a", "--tags", "b")
    assert done.exit_code == 0, done.output
    assert seen == [(Which("digits", 3), How(steps=5, quick=True, tags=["a", "b"]), "cpu")]
    done, seen = invoke("digits", "--at-least", "7", "--steps", "8", "--device", "cuda")
    assert seen[1] == (Which("digits", None, 7), How(steps=8, tags=[]), "cuda")


def test_help_and_ranges_are_those_of_the_fields(invoke):
    shown = invoke("--help")[0].output
    for text in ("NAME", "--limit", "Only the first N images.", "1<=x<=9", "--steps", "x>=2"):
        assert text in shown
    assert "--no-quick" not in shown
    for arguments in (("digits", "--limit", "0"), ("digits", "--steps", "1"), ()):
        done, seen = invoke(*arguments)
        assert done.exit_code == 2 and not seen


def test_what_a_record_refuses_is_said_in_one_sentence(invoke):
    done, _ = invoke("digits", "--tags", "x")
    assert isinstance(done.exception, RobustnessBiasError)
    assert str(done.exception) == "--tags ['x']: Value error, x is no tag."


def test_a_field_of_two_records_is_refused():
    def show(one: Which, other: Which) -> None: ...

    with pytest.raises(TypeError, match="at_least.*twice"):
        options_from_records(show)
