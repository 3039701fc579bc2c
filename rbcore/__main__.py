"""``python -m rbcore``: the command line, see `rbcore.cli.main`."""

from rbcore.cli.main import main

if __name__ == "__main__":
    main()
