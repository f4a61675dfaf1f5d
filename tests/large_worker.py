"""The command line with a limit of its own for layers, for the tests: BYTES ARGUMENTS..."""

from __future__ import annotations

import sys

import cli.probing
from cli.main import main

if __name__ == "__main__":
    cli.probing.LARGEST = float(sys.argv.pop(1))
    main()
