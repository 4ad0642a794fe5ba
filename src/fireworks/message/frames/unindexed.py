"""Which attributes of a DataFrame a message has not, and what to write instead."""

from __future__ import annotations

from typing import Final

_NO_INDEX = "A message has no index"
_BY_TIME = (
    f"{_NO_INDEX}, so none of times: go by a frame, fw.Message(message.to_pandas().set_index('time').{{name}}(…)), "
    "or group the rows by a column of times with message.resample(…, on='time')"
)
_IN_A_COLUMN = f"{_NO_INDEX}: change the column of times, message['time'] = message['time'].dt.{{name}}(…)"
_LOST = "A message keeps columns and nothing beside them, so it would be lost on the way: put it into a column"
_LEVELS = f"{_NO_INDEX}: what was a level of one is a column; use drop or select"
_FROM = "Write fw.Message(…), which takes whatever holds columns or rows"

REFUSED: Final = {
    "asfreq": _BY_TIME,
    "at_time": _BY_TIME,
    "attrs": _LOST,
    "axes": f"{_NO_INDEX}: write message.columns and len(message)",
    "between_time": _BY_TIME,
    "droplevel": _LEVELS,
    "flags": _LOST,
    "from_arrow": _FROM,
    "from_dict": _FROM,
    "from_records": _FROM,
    "index": f"{_NO_INDEX}: its rows are numbered from 0, range(len(message))",
    "isetitem": "Assign a column by its name: message[name] = …, where message.columns[number] is the name",
    "reindex": f"{_NO_INDEX}: write message.take([…]) for rows and message.select(…) for columns",
    "reindex_like": f"{_NO_INDEX}: write message.take([…]) for rows and message.select(…) for columns",
    "rename_axis": f"{_NO_INDEX}: what was one is a column; write message.rename({{'index': 'time'}})",
    "reorder_levels": _LEVELS,
    "set_axis": f"{_NO_INDEX}: for new names of the columns write message.rename({{'old': 'new'}})",
    "set_flags": _LOST,
    "set_index": (
        f"{_NO_INDEX}: groupby, merge, join, resample, rolling and pivot take columns by name (by=, on=, index=); "
        "where pandas needs one, write message.to_pandas().set_index(…)"
    ),
    "sort_index": (
        f"{_NO_INDEX}: write message.sort_values('x') for rows and message.select(*sorted(message.columns)) for columns"
    ),
    "swaplevel": _LEVELS,
    "to_hdf": "Such a file holds pickled objects: write message.save(path), or message.to_parquet(path)",
    "to_period": _IN_A_COLUMN,
    "to_pickle": "Opening a pickle runs whatever code is in it: write message.save(path)",
    "to_timestamp": _IN_A_COLUMN,
    "tz_convert": _IN_A_COLUMN,
    "tz_localize": _IN_A_COLUMN,
}


def why_not(name: str) -> str:
    """Return why a message lacks an attribute of DataFrames, and what to write instead, as a sentence.

    Example:
        >>> why_not("index")
        'A message has no index: its rows are numbered from 0, range(len(message)).'
    """
    return f"{REFUSED[name].replace('{name}', name)}."
