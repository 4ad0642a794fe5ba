"""Tables of a database as pipes: rows go in and come out as messages, tensors included."""

from fireworks.database.db_pipe import DBPipe
from fireworks.database.table_pipe import TablePipe

__all__ = ["DBPipe", "TablePipe"]
