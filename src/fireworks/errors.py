"""Every exception of fireworks.

FireworksError
├── ColumnNotFoundError (KeyError)       a column was asked for by a name that is not there
├── ColumnLengthError (ValueError)       columns of one message differ in length
├── ColumnTypeError (TypeError)          a column holds a type that the operation can't use
├── ColumnValueError (ValueError)        a column holds a value that the operation can't use
├── SchemaMismatchError (ValueError)     two messages or tables don't have the same columns
├── ExpressionError (ValueError)         the text of a filter can't be read
├── RowIndexError (IndexError)           a row or an item past the end
├── RowNotCachedError (KeyError)         a cache was asked for rows that it does not hold
├── NoRandomAccessError (TypeError)      a stream was asked for what only random access can give
├── UnknownLengthError (TypeError)       the number of items is not known without reading them
├── NotFoundUpstreamError (AttributeError)  no pipe of the chain has the name
├── StageResultError (TypeError, ValueError)  a function returned the wrong type, length or columns
├── AuditError (RuntimeError)            a pass handed out another number of rows than the plan says
├── BranchBehindError (RuntimeError)     a branch of a stream was asked to run too far ahead of another
├── DryRunError (RuntimeError)           a strict dry run found something
├── StateError (ValueError)              a saved state doesn't fit what it is loaded into
├── FileFormatError (ValueError)         a file is damaged, cut short, of a newer version, or of another format
├── FileChangedError (RuntimeError)      a file is not the one that it was when the source was made
├── MemoryBudgetError (ValueError)       the memory budget is too small for a pipeline
├── DiskSpaceError (OSError)             not enough room on the disk for scratch files
├── NotFittedError (RuntimeError)        statistics were asked for before `fit`
├── DatabaseError (RuntimeError)         a database or a table is not there, or refuses
├── TrialError (RuntimeError)            a trial was asked for something that its state forbids
├── WorkerDiedError (RuntimeError)       a worker process ended over the rows that it had in hand
└── MissingExtraError (ImportError)      an optional dependency is not installed

Each inherits `FireworksError` and the builtin that people catch; its facts are attributes, and it
survives a trip through pickle, so that it can come out of a worker process.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class FireworksError(Exception):
    """Base of every error that fireworks raises on purpose."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Rebuild from the facts rather than from the finished sentence."""
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(kind: type[FireworksError], args: tuple[Any, ...], facts: dict[str, Any]) -> FireworksError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(facts)
    return error


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the nearest known name, or nothing.

    Example:
        >>> did_you_mean("lable", ["label", "text"])
        " Did you mean 'label'?"
    """
    close = difflib.get_close_matches(str(name), list(known), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


class ColumnNotFoundError(FireworksError, KeyError):
    """A column was asked for by a name that is not there."""

    def __init__(self, name: object, *, available: Iterable[str], where: str) -> None:
        self.name, self.available, self.where = name, tuple(available), where
        super().__init__(name)

    def __str__(self) -> str:
        hint = did_you_mean(str(self.name), self.available)
        return f"{self.where}: no column {self.name!r}; columns are {list(self.available)}.{hint}"


class ColumnLengthError(FireworksError, ValueError):
    """Columns of one message differ in length."""


class ColumnTypeError(FireworksError, TypeError):
    """A column holds a type that the operation can't use."""


class ColumnValueError(FireworksError, ValueError):
    """A column holds a value that the operation can't use."""


class SchemaMismatchError(FireworksError, ValueError):
    """Two messages, or a message and a table, don't have the same columns."""


class ExpressionError(FireworksError, ValueError):
    """The text of a filter can't be read; shows the line with a mark below the place."""

    def __init__(self, problem: str, text: str, place: int) -> None:
        self.problem, self.text, self.place = problem, text, place
        super().__init__(problem)

    def __str__(self) -> str:
        start = self.text.rfind("\n", 0, self.place) + 1
        line = self.text[start:].partition("\n")[0].replace("\t", " ")
        return f"{self.problem}\n    {line}\n    {' ' * (self.place - start)}^"


class RowIndexError(FireworksError, IndexError):
    """A row or an item past the end was asked for."""


class RowNotCachedError(FireworksError, KeyError):
    """A cache was asked for rows that it does not hold; ``rows`` has their numbers."""

    def __init__(self, rows: list[int]) -> None:
        self.rows = rows
        super().__init__(rows)

    def __str__(self) -> str:
        shown, more = self.rows[:10], len(self.rows) - 10
        which = f"rows {shown} and {more} more are" if more > 0 else f"{'row' if len(shown) == 1 else 'rows'} {shown} "
        which = which if more > 0 else which + ("is" if len(shown) == 1 else "are")
        return f"MessageCache: {which} not held. Ask first: cache.contains(rows)."


class NoRandomAccessError(FireworksError, TypeError):
    """A stream was asked for what only random access can give."""


class UnknownLengthError(FireworksError, TypeError):
    """The number of items is not known without reading them all."""


class NotFoundUpstreamError(FireworksError, AttributeError):
    """No pipe of the chain has the name that was asked for."""


class StageResultError(FireworksError, TypeError, ValueError):
    """A function of a stage returned something else than a message of as many rows and the same columns as before."""


class AuditError(FireworksError, RuntimeError):
    """A pass handed out another number of rows than the plan says: a fault of a stage or of fireworks."""


class QuarantineWarning(UserWarning):
    """A pass set rows aside that a stage could not work on; `Pipe.quarantined` has them."""


class BranchBehindError(FireworksError, RuntimeError):
    """A branch of a stream was asked to run too far ahead of another; `ahead` and `behind` are their numbers."""

    def __init__(self, message: str, *, ahead: int, behind: int, num_rows: int) -> None:
        self.ahead, self.behind, self.num_rows = ahead, behind, num_rows
        super().__init__(message)


class DryRunError(FireworksError, RuntimeError):
    """A strict dry run found something; ``report`` says what."""

    def __init__(self, text: str, *, report: Any = None) -> None:
        self.report = report
        super().__init__(text)


class StateError(FireworksError, ValueError):
    """A saved state doesn't fit what it is loaded into."""


class FileFormatError(FireworksError, ValueError):
    """A file is damaged, cut short, of a newer version, or of another format than the one that was asked for."""


class FileChangedError(FireworksError, RuntimeError):
    """A file of a source is not the one that it was when the source was made."""


class MemoryBudgetError(FireworksError, ValueError):
    """The memory budget is too small for a pipeline; ``needed_bytes`` is the smallest one that will do."""

    def __init__(self, text: str, *, needed_bytes: int) -> None:
        super().__init__(text)
        self.needed_bytes = needed_bytes


class DiskSpaceError(FireworksError, OSError):
    """There is not enough room on the disk for the scratch files of a pipeline."""


class NotFittedError(FireworksError, RuntimeError):
    """Statistics were asked for before `fit` found them."""


class DatabaseError(FireworksError, RuntimeError):
    """A database or a table is not there, or refuses what was asked."""


class TrialError(FireworksError, RuntimeError):
    """A trial was asked for something that its state forbids."""


class WorkerDiedError(FireworksError, RuntimeError):
    """A worker process ended over the rows that it had in hand."""

    def __init__(self, text: str, *, stage: str, rows: list[int], exit_code: int | None) -> None:
        self.stage, self.rows, self.exit_code = stage, rows, exit_code
        super().__init__(text)


class MissingExtraError(FireworksError, ImportError):
    """An optional dependency is not installed."""
