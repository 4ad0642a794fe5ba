"""A source that tells what was read of it, for tests that nothing else was."""

import numpy as np

import fireworks as fw


class Watched(fw.Source):
    """Rows in memory; every narrowing and every fetch is noted: which columns, how many rows."""

    def __init__(self, columns, *, log=None, kept=None):
        super().__init__()
        self.rows = fw.Message(columns)
        self.log = [] if log is None else log
        self.kept = list(self.rows.columns) if kept is None else kept

    @property
    def schema(self):
        return self.rows.select(*self.kept).schema

    def describe(self):
        return f"Watched({', '.join(self.kept)})"

    def count(self):
        return len(self.rows)

    def narrowed(self, columns):
        return Watched(dict(self.rows.items()), log=self.log, kept=list(columns))

    def fetch(self, rows):
        some = self.rows.select(*self.kept)
        self.log.append((tuple(self.kept), len(rows)))
        return some[rows.start : rows.stop] if isinstance(rows, range) else some.take(np.asarray(rows))

    def columns_read(self):
        return {name for names, num_rows in self.log for name in names if num_rows}

    def rows_read(self):
        return sum(num_rows for _, num_rows in self.log)
