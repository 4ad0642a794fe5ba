"""Values out of text: what CSV and JSON write is read back exactly, or the text that says something else is named."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import numpy as np
import pandas as pd

from fireworks.message.conversion.exact import Array, MisfitError

_WORDS = {"true": True, "false": False, "1": True, "0": False}
_ZONE = re.compile(r"(?:[Zz]|[+-]\d\d(?::?\d\d)?)$")
_TOO_FINE = re.compile(r"\.\d{10}")
_CLOCK = re.compile(
    r"(?:(?P<days>[+-]?\d+) days?,?(?: |$))?(?:(?P<sign>[+-])?(?P<hours>\d+):(?P<minutes>\d\d):(?P<seconds>\d\d(?:\.\d{1,9})?))?"
)
_ISO = re.compile(
    r"[+-]?(?P<sign>)P(?=.)(?:(?P<days>[+-]?\d+)D)?(?:T(?=.)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d{1,9})?)S)?)?"
)
_NANOSECONDS: Final = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}


def numbers(texts: Array, dtype: np.dtype[Any]) -> Array:
    """Return the numbers that texts spell, as Python spells them: ``-7``, ``1e-3``, ``nan``, ``(1+2j)``, ``True``.

    A decimal fraction such as ``0.1`` is no float of any width; it counts as exact where the float, printed with as
    many digits, is the text again.

    Args:
        texts: Strings, in an array of objects.
        dtype: A type of numbers or booleans.

    Raises:
        MisfitError: a text is no such number, or has more digits than the type.

    Example:
        >>> numbers(np.array(["0.1", "-inf"], dtype=object), np.dtype("float32"))
        array([ 0.1, -inf], dtype=float32)
    """
    if dtype.kind == "b":
        return _each(texts, dtype, lambda text: _WORDS[text.lower()])
    if dtype.kind == "c":
        return _complex(texts, dtype)
    if dtype.kind == "f":
        return _floats(texts, dtype)
    try:
        return texts.astype(dtype)
    except (ValueError, OverflowError):  # 1.0 and 1e3 are integers too, and NumPy does not say which text is none
        return _each(texts, dtype, lambda text: _integer(text, dtype))


def _each(texts: Array, dtype: np.dtype[Any], parse: Callable[[str], Any]) -> Array:
    try:
        return texts.astype(dtype) if dtype.kind == "f" else np.array([parse(text) for text in texts], dtype=dtype)
    except (KeyError, ValueError, OverflowError, InvalidOperation):
        for position, text in enumerate(texts):
            try:
                np.array([text], dtype=object).astype(dtype) if dtype.kind == "f" else parse(text)
            except (KeyError, ValueError, OverflowError, InvalidOperation):
                raise MisfitError(position, text) from None
        raise


def _integer(text: str, dtype: np.dtype[Any]) -> int:
    number = Decimal(text)
    if number != number.to_integral_value() or not np.iinfo(dtype).min <= number <= np.iinfo(dtype).max:
        raise ValueError(text)
    return int(number)


def _floats(texts: Array, dtype: np.dtype[Any]) -> Array:
    wide = _each(texts, np.result_type(dtype, np.float64), float)
    with np.errstate(all="ignore"):
        narrow = wide.astype(dtype)
    doubtful = ((np.abs(wide) >= 2.0**53) | (wide == 0)) & (texts != "0.0")  # digits may be lost before it is a float
    rounded = np.flatnonzero((narrow != wide) & ~np.isnan(wide))
    doubtful[rounded] |= narrow[rounded].astype("U32").astype(wide.dtype) != wide[rounded]
    for position in np.flatnonzero(doubtful):
        if not _prints_as(narrow[position], texts[position]):
            raise MisfitError(position, texts[position])
    return narrow


def _prints_as(value: np.floating[Any], text: str) -> bool:
    """Tell whether a float, printed as briefly as it can be or with as many digits, is the text again."""
    number = Decimal(text)
    if number.is_infinite() or np.isinf(value):
        return number.is_infinite()
    digits = len(number.as_tuple().digits)
    printed = (np.format_float_scientific(value), np.format_float_scientific(value, precision=digits - 1, unique=False))
    return number in map(Decimal, printed)


def _complex(texts: Array, dtype: np.dtype[Any]) -> Array:
    whole = _each(texts, np.dtype(complex), complex)
    result = np.empty(len(texts), dtype=dtype)
    try:
        for part, values in ((result.real, whole.real), (result.imag, whole.imag)):
            part[:] = _floats(np.array([repr(value) for value in values.tolist()], dtype=object), part.dtype)
    except MisfitError as misfit:
        raise MisfitError(misfit.position, texts[misfit.position]) from None
    return result


def dates(texts: Sequence[str], unit: str, *, zoned: bool) -> Array:
    """Return the instants that texts in ISO 8601 name, in the given unit; those with a zone as the time in UTC.

    Args:
        texts: ``2020-01-31``, ``2020-01-31 23:59:59.5``, ``2020-01-31T23:59:59+09:00``; ``NaT`` is missing.
        unit: ``s``, ``ms``, ``us`` or ``ns``.
        zoned: Whether a text has to say its zone; where it is false, none may.

    Raises:
        MisfitError: a text is no date, has a zone or has none against what was asked, or does not fit the unit.
    """
    for position, text in enumerate(texts):
        if text != "NaT" and (not text[:1].isdigit() or _TOO_FINE.search(text)):  # pandas takes `now` for a date
            raise MisfitError(position, text)
        if text != "NaT" and bool(_ZONE.search(text, 11)) != zoned:
            raise MisfitError(position, text, "has no zone" if zoned else "has a zone")
    found = _dates(texts, zoned=zoned, errors="coerce")
    result = in_unit(found, unit)
    # pandas reads all with the finest precision that one of them has; what is out of range then is read by itself
    for number in np.flatnonzero(np.isnat(found) & (np.array(texts, dtype=object) != "NaT")):
        position = int(number)
        try:
            result[position] = in_unit(_dates([texts[position]], zoned=zoned, errors="raise"), unit)[0]
        except ValueError:
            raise MisfitError(position, texts[position]) from None
    return result


def _dates(texts: Sequence[str], *, zoned: bool, errors: Any) -> Array:
    read = pd.to_datetime(pd.Index(list(texts), dtype="str"), format="ISO8601", utc=zoned, errors=errors)
    return np.array((read.tz_convert(None) if zoned else read).to_numpy())


def in_unit(values: Array, unit: str) -> Array:
    """Return dates or durations in another unit: ``s``, ``ms``, ``us``, ``ns``.

    Raises:
        MisfitError: the unit is too coarse for a value, or too fine for it to be in range.

    Example:
        >>> in_unit(np.array(["2020-01-01T00:00:01.500"], "M8[ms]"), "us")
        array(['2020-01-01T00:00:01.500000'], dtype='datetime64[us]')
    """
    converted = values.astype(f"{values.dtype.kind}8[{unit}]")
    changed = (converted.astype(values.dtype) != values) & ~np.isnat(
        values
    )  # what is out of range comes back as another
    if changed.any():
        position = int(np.argmax(changed))
        raise MisfitError(position, str(values[position]))
    return converted


def durations(texts: Sequence[str], unit: str) -> Array:
    """Return the durations that texts name, in the given unit.

    Args:
        texts: ``1 days 02:03:04.5`` as pandas writes it, ``02:03:04``, ``P1DT2H`` (ISO 8601); ``NaT`` is missing.
        unit: ``s``, ``ms``, ``us`` or ``ns``.

    Raises:
        MisfitError: a text is no duration, or does not fit the unit.

    Example:
        >>> durations(["1 days 00:00:01.5", "-1 days +23:59:59"], "ms")
        array([86401500,    -1000], dtype='timedelta64[ms]')
    """
    result = np.full(len(texts), np.timedelta64("NaT"), dtype=f"m8[{unit}]")
    for position, text in enumerate(texts):
        if text == "NaT":
            continue
        found = _CLOCK.fullmatch(text) or _ISO.fullmatch(text)
        if not text or found is None:
            raise MisfitError(position, text)
        nanoseconds = _nanoseconds(found.groupdict())
        count, rest = divmod(-nanoseconds if text.startswith("-P") else nanoseconds, _NANOSECONDS[unit])
        if rest or not -(2**63) < count < 2**63:
            raise MisfitError(position, text)
        result[position] = count
    return result


def _nanoseconds(parts: dict[str, str | None]) -> int:
    clock = 3600 * int(parts["hours"] or 0) + 60 * int(parts["minutes"] or 0) + Decimal(parts["seconds"] or 0)
    return int((86_400 * int(parts["days"] or 0) + (-clock if parts["sign"] == "-" else clock)) * 10**9)
