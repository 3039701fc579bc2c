"""Nothing is imported before it is used: listing and reading stored tables need no torch."""

import json
import subprocess
import sys

HEAVY = ("altair", "foolbox", "scipy.stats", "sklearn", "statsmodels", "torch", "torchvision")
COMMANDS = (
    "--help",
    "datasets",
    "models",
    "methods",
    "bias digits small_cnn deepfool --by class",
)
RUN = """
import contextlib, io, json, sys
import rbcore
from rbcore.cli.main import main
heavy, commands = json.loads(sys.argv[1])
found = {}
for command in commands:
    sys.argv = ["rbcore", *command.split()]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        main()
    loaded = [name for name in heavy if name in sys.modules]
    found[command] = [len(printed.getvalue().splitlines()) > 3, loaded]
print(json.dumps(found))
"""


def test_listing_and_reading_stored_tables_import_neither_torch_nor_charts():
    done = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps([HEAVY, COMMANDS])],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == {command: [True, []] for command in COMMANDS}
