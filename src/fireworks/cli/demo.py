"""``fireworks demo``: the whole path on real data."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import Any

from fireworks._internal.extras import need


def add_to(commands: Any) -> None:
    """Add the command and its options."""
    parser = commands.add_parser(
        "demo",
        help="train on handwritten digits: database, pipeline, network, recorded trial",
        description="Load 1,797 handwritten digits into a database, read them back through a pipeline, train a small "
        "network, evaluate it on the part held out, and record it all as a trial under ./runs.",
    )
    parser.add_argument("--seed", type=int, default=1, help="the seed of everything random (default: 1)")
    parser.add_argument("--copy", metavar="FILE", help="only write the demo's code to FILE, to be changed and run")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Run the demo, or copy its code."""
    need("sklearn", extra="demo", user="fireworks demo")
    need("matplotlib", extra="demo", user="fireworks demo")
    from fireworks._internal.seeds import check_seed
    from fireworks.demo import digits

    check_seed(options.seed, where="fireworks demo")
    if options.copy:
        _copy(Path(digits.__file__), Path(options.copy))
        return
    digits.main(options.seed)
    command = _as_typed(sys.argv[0])
    print(
        "\nNext, try:\n"
        f"  {command} demo                        again: the same weights, bit for bit\n"
        f"  {command} demo --seed {options.seed + 1}               another trial in the same history\n"
        f"  {command} demo --copy my_digits.py    the code, to be changed and run"
    )


def _copy(source: Path, target: Path) -> None:
    if target.exists():
        raise FileExistsError(f"demo: {str(target)!r} is there already; name another file.")
    shutil.copyfile(source, target)
    with target.open("a") as file:
        file.write('\n\nif __name__ == "__main__":\n    main()\n')
    print(f"Wrote {target}. Run it: {_as_typed(sys.executable)} {target}")


def _as_typed(program: str) -> str:
    """Return a program's path as one would type it here."""
    path = Path(program)
    here = Path.cwd()
    if shutil.which(path.name) == program:
        return path.name
    return str(path.relative_to(here)) if path.is_absolute() and path.is_relative_to(here) else program
