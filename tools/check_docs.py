"""Checks that every public name is documented, and keeps `docs/reference/api.md` in step with the docstrings.

A public name is one of ``fireworks.__all__``, an exception of ``fireworks.errors``, or a method or property of either that
does not begin with an underscore and is defined by fireworks. Each needs a docstring; each name of the first two
kinds has a line in the reference, made of the first line of its docstring.

    python tools/check_docs.py            check; exit status 1 and one line per fault
    python tools/check_docs.py --write    write the reference anew
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fireworks
from fireworks import errors

REFERENCE = Path(__file__).parent.parent / "docs" / "reference" / "api.md"

SECTIONS = {
    "Data": ["fireworks.message"],
    "Sources": ["fireworks.formats", "fireworks.database", "fireworks.core.source"],
    "Pipes": ["fireworks.transforms", "fireworks.order", "fireworks.cache", "fireworks.core.iterator"],
    "Plans, workers and other loaders": [
        "fireworks.parallel",
        "fireworks.plan",
        "fireworks.core.budget",
        "fireworks.spill",
        "fireworks.core.iterable_dataset",
        "fireworks.core.map_dataset",
    ],
    "Junctions": ["fireworks.junctions", "fireworks.core.junction"],
    "Roles, to be subclassed": ["fireworks.core.pipe", "fireworks.core.stages", "fireworks.core.recursion"],
    "Models and training": ["fireworks.core", "fireworks.training"],
    "Experiments": ["fireworks.experiment"],
}

HEAD = """# Reference

Every public name, with the first line of its docstring; `help(fireworks.NAME)` shows the rest: arguments, shapes, units,
errors, sources and an example that runs. This page is written by `python tools/check_docs.py --write` and checked by
`make check`.
"""


def public_objects() -> dict[str, Any]:
    """Return every object of `fireworks.__all__` by name."""
    return {name: getattr(fireworks, name) for name in fireworks.__all__ if not name.startswith("__")}


def exceptions() -> dict[str, type[Exception]]:
    """Return every exception of `fireworks.errors` by name."""
    return {
        name: thing
        for name, thing in vars(errors).items()
        if isinstance(thing, type) and issubclass(thing, errors.FireworksError)
    }


def members(thing: type) -> Iterator[tuple[str, Any]]:
    """Yield the public methods and properties that fireworks defines on a class."""
    for name, member in inspect.getmembers(thing):
        owner = next((base for base in thing.__mro__ if name in vars(base)), None)
        if name.startswith("_") or owner is None or not owner.__module__.startswith("fireworks"):
            continue
        if isinstance(member, property) or (callable(member) and not isinstance(member, type)):
            yield name, member


def faults() -> Iterator[str]:
    """Yield one line per public name without a docstring."""
    for name, thing in {**public_objects(), **exceptions()}.items():
        if not inspect.getdoc(thing):
            yield f"fireworks.{name} has no docstring"
        for member, value in members(thing) if isinstance(thing, type) else ():
            if not inspect.getdoc(value):
                yield f"fireworks.{name}.{member} has no docstring"


def summary(thing: Any) -> str:
    """Return the first sentence of a docstring, whole, on one line."""
    lines = (inspect.getdoc(thing) or "").split("\n\n")[0].splitlines()
    return " ".join(line.strip() for line in lines).replace("|", "\\|")


def section_of(thing: Any) -> str:
    """Return the section whose module is nearest to where a thing is defined."""
    found = [
        (len(module), title)
        for title, modules in SECTIONS.items()
        for module in modules
        if thing.__module__ == module or thing.__module__.startswith(f"{module}.")
    ]
    return max(found)[1]


def reference() -> str:
    """Return the whole page."""
    parts = [HEAD]
    objects = public_objects()
    for title in SECTIONS:
        rows = [(name, thing) for name, thing in objects.items() if section_of(thing) == title]
        parts.append(_table(title, rows))
    verbs = [(name, value) for name, value in members(fireworks.Pipe) if name in vars(_fluent())]
    parts.append(_table("Verbs of a pipe", verbs))
    parts.append(_table("Errors, in `fireworks.errors`", list(exceptions().items())))
    return "\n".join(parts)


def _fluent() -> type:
    from fireworks.core.fluent import Fluent

    return Fluent


def _table(title: str, rows: list[tuple[str, Any]]) -> str:
    lines = [f"| `{name}` | {summary(thing)} |" for name, thing in rows]
    return "\n".join([f"\n## {title}\n", "| name | what it is |", "|---|---|", *lines])


def main() -> int:
    """Check, or write with ``--write``; return the exit status."""
    found = list(faults())
    page = reference() + "\n"
    if "--write" in sys.argv:
        REFERENCE.write_text(page)
    elif not REFERENCE.exists() or REFERENCE.read_text() != page:
        found.append("docs/reference/api.md is out of date; run: python tools/check_docs.py --write")
    for fault in found:
        print(fault)
    if not found:
        print(f"{len(public_objects())} public names and {len(exceptions())} exceptions are documented.")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
