"""``fireworks``: the commands and how they fail."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from fireworks import __version__
from fireworks.cli import demo
from fireworks.errors import FireworksError

_FAILED, _INTERRUPTED = 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted.

    An error is one sentence; ``--debug`` shows the whole traceback.
    """
    parser = argparse.ArgumentParser(
        prog="fireworks", description="From raw data to a trained PyTorch model whose result can be had again."
    )
    parser.add_argument("--version", action="version", version=f"fireworks {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    demo.add_to(commands)
    options = parser.parse_args(arguments)
    try:
        options.run(options)
    except KeyboardInterrupt:
        print("fireworks: interrupted.", file=sys.stderr)
        return _INTERRUPTED
    except (FireworksError, OSError, ValueError) as error:
        if options.debug:
            raise
        print(f"fireworks: {error}", file=sys.stderr)
        return _FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
