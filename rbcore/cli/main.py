"""The command line: ``python -m rbcore``."""

import typer

from rbcore.cli import estimate, listing, migrate, report, training
from rbcore.errors import RobustnessBiasError
from rbcore.runtime import keep_freed_memory

cli = typer.Typer(
    help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)
training.add_commands(cli)
cli.command()(listing.datasets)
cli.command()(listing.models)
cli.command()(listing.methods)
cli.command()(estimate.estimate)
cli.command()(report.bias)
cli.command()(report.report)
cli.command()(report.reproduce)
cli.command()(estimate.verify)
cli.command()(migrate.migrate)


def main() -> None:
    """Run the command line; an error of ours is one sentence on standard error and exit code 2."""
    keep_freed_memory()
    try:
        cli()
    except RobustnessBiasError as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        typer.echo("Stopped; everything finished until then is kept.", err=True)
        raise SystemExit(130) from None
