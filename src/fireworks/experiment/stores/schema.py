"""The tables of an experiment.

Texts that many trials share (environment, git, the source of a file, the list of source files) are kept
once, under their SHA-256. `metric_summary` has one row per trial and metric and changes in the transaction
that adds the point, so that listing trials never reads `metric`.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, ForeignKey, Integer, MetaData, Table, Text, UniqueConstraint

VERSION = 1

metadata = MetaData()

schema_version = Table("schema_version", metadata, Column("version", Integer, nullable=False))

content = Table(
    "content",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("text", Text, nullable=False),
)

trial = Table(
    "trial",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("parameters", Text, nullable=False),
    Column("seed", Text, nullable=False),  # up to 2**64 - 1: more than an SQLite integer holds
    Column("status", Text, nullable=False),
    Column("result", Text),
    Column("started_us", BigInteger, nullable=False),
    Column("finished_us", BigInteger),
    Column("duration_s", Float),
    Column("failure_type", Text),
    Column("failure_text", Text),
    Column("failure_traceback", Text),
    Column("host", Text, nullable=False),
    Column("boot", Text, nullable=False),
    Column("namespace", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("process_started", Text, nullable=False),
    Column("environment", ForeignKey(content.c.sha256), nullable=False),
    Column("git", ForeignKey(content.c.sha256), nullable=False),
    Column("code", ForeignKey(content.c.sha256), nullable=False),  # {path: SHA-256 of the source}
)

metric_summary = Table(
    "metric_summary",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("trial", ForeignKey(trial.c.number), nullable=False),
    Column("name", Text, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("last_step", BigInteger, nullable=False),
    Column("last_value", Float),  # NULL is NaN, which SQLite can't hold
    UniqueConstraint("trial", "name"),
)

metric = Table(
    "metric",
    metadata,
    Column("summary", ForeignKey(metric_summary.c.id), primary_key=True),
    Column("position", BigInteger, primary_key=True),  # 1, 2, 3, ... in the order of logging
    Column("step", BigInteger, nullable=False),
    Column("value", Float),  # NULL is NaN
    Column("logged_us", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

artifact = Table(
    "artifact",
    metadata,
    Column("trial", ForeignKey(trial.c.number), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
)
