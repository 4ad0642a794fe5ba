"""Dates and durations of a column, whatever kind of column holds them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa

from fireworks.message.columns import Column, as_column
from fireworks.message.conversion import texts
from fireworks.message.conversion.exact import Array, MisfitError
from fireworks.message.conversion.kinds import NoConversionError, arrow_of, cells_of, is_arrow, is_objects, is_text


def dates_of(column: Column, unit: str, *, zoned: bool) -> Array:
    """Return the dates of a column in one of pandas' units, without a zone.

    Args:
        column: Dates of any unit, Python's dates among objects, or texts in ISO 8601.
        unit: ``s``, ``ms``, ``us`` or ``ns``.
        zoned: Whether they have a zone; they come out as UTC then.

    Raises:
        MisfitError: a value is no date, does not fit the unit, or is the only one with, or without, a zone.
        NoConversionError: the column holds no dates, or all of them have, or lack, a zone against what was asked.
    """
    if is_arrow(column, pa.types.is_timestamp, pa.types.is_date):
        column = as_column("", arrow_of(column).to_pandas(date_as_object=False))
    has_zone = isinstance(column.dtype, pd.DatetimeTZDtype)
    if has_zone == zoned and (has_zone or getattr(column.dtype, "kind", "") == "M"):
        plain = pd.DatetimeIndex(cast("Any", column))
        return texts.in_unit((plain.tz_convert(None) if zoned else plain).to_numpy(), unit)
    return _parsed(column, _spell_date, lambda found: texts.dates(found, unit, zoned=zoned))


def durations_of(column: Column, unit: str) -> Array:
    """Return the durations of a column in one of pandas' units; see `dates_of`."""
    if is_arrow(column, pa.types.is_duration):
        column = as_column("", arrow_of(column).to_pandas())
    if isinstance(column, np.ndarray) and column.dtype.kind == "m":
        return texts.in_unit(column, unit)
    return _parsed(column, _spell_duration, lambda found: texts.durations(found, unit))


def _parsed(column: Column, spell: Callable[[Any], str | None], parse: Callable[[list[str]], Array]) -> Array:
    """Read texts, and objects once they are spelled as texts; what is missing is NaT."""
    if not (is_text(column) or is_objects(column)):
        raise NoConversionError
    cells = cells_of(column)
    present = np.flatnonzero(~pd.isna(cells)).tolist()
    spelled = [cells[row] if isinstance(cells[row], str) else spell(cells[row]) for row in present]
    if None in spelled:
        row = present[spelled.index(None)]
        raise MisfitError(row, cells[row])
    try:
        values = parse(cast("list[str]", spelled))
    except MisfitError as misfit:
        raise MisfitError(present[misfit.position], misfit.value, misfit.why) from None
    result = np.full(len(cells), "NaT", dtype=values.dtype)
    result[present] = values
    return result


def _spell_date(value: object) -> str | None:
    if isinstance(value, np.datetime64):
        return str(value)
    return value.isoformat() if isinstance(value, dt.date) else None


def _spell_duration(value: object) -> str | None:
    return str(pd.Timedelta(value)) if isinstance(value, (dt.timedelta, np.timedelta64)) else None
