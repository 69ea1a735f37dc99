"""How far jobs are, which workers live, GPU seconds of shows: small tables beside the workflow library's own."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from shared.database import engine_options
from shared.errors import ServiceUnavailableError
from shared.gpu_time import WINDOW_HOURS, Spent
from shared.schemas import Progress

POST_EVERY_S = 0.4
LOCK_S = 30
FORGOTTEN_AT_ONCE = 200

_tables = sa.MetaData()
_progress = sa.Table(
    "diary_progress",
    _tables,
    sa.Column("job", sa.String, primary_key=True),
    sa.Column("progress", sa.Text, nullable=False),
)
_workers = sa.Table(
    "diary_workers",
    _tables,
    sa.Column("worker", sa.String, primary_key=True),
    sa.Column("seen_at", sa.Float, nullable=False),
)
_gpu_seconds = sa.Table(
    "diary_gpu_seconds",
    _tables,
    sa.Column("service", sa.String, primary_key=True),
    sa.Column("show", sa.String, primary_key=True),
    sa.Column("hour", sa.Integer, primary_key=True),
    sa.Column("seconds", sa.Float, nullable=False),
)


@dataclass
class Pace:
    """Estimates the seconds left in a stage from the work done since the stage began."""

    stage: str = ""
    began_at: float = 0.0
    began_with: float = 0.0

    def eta_s(self, stage: str, done: float, total: float | None, now: float) -> float | None:
        """None while nothing is known: no total, or nothing done in this stage yet."""
        if stage != self.stage:
            self.stage, self.began_at, self.began_with = stage, now, done
        worked = done - self.began_with
        if total is None or worked <= 0:
            return None
        return max(0.0, (total - done) * (now - self.began_at) / worked)


class Hearing:
    """Whether a worker would have heard the others' heartbeats, if there were any: told by its own.

    Whoever has just started, slept, or lost the database, cannot tell the silent from those that it could not hear.
    """

    def __init__(self, silent_after_s: float, now: float) -> None:
        self._silent_after_s = silent_after_s
        self._since = self._last_beat = now

    def beat(self, now: float) -> None:
        """Our own heartbeat was written; one that comes late was held up, as all the others' were."""
        if now - self._last_beat > self._silent_after_s / 2:
            self._since = now
        self._last_beat = now

    def interrupted(self, now: float) -> None:
        self._since = now

    def suffices(self, now: float) -> bool:
        return now - self._since >= self._silent_after_s


class ProgressBoard:
    """Latest progress per job, readable by every replica; posts within a stage are thinned out."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url.replace("postgresql://", "postgresql+psycopg://", 1)
        self._engine: sa.Engine | None = None
        self._last_post: dict[str, tuple[str, float]] = {}
        self._guard = threading.Lock()
        self._door = threading.Lock()

    def open(self) -> None:
        waits = {"timeout": 30} if self._url.startswith("sqlite") else {}
        self._engine = sa.create_engine(self._url, connect_args=waits, pool_pre_ping=True, **engine_options(self._url))
        with self._engine.begin() as connection:
            _lock(connection, "diary tables")  # workers that start together would both make them
            _tables.create_all(connection)

    def close(self) -> None:
        if self._engine is not None:
            self._engine.dispose()

    def post(self, job: str, progress: Progress) -> None:
        now = time.monotonic()
        with self._guard:
            stage, posted_at = self._last_post.get(job, ("", 0.0))
            if progress.stage == stage and now - posted_at < POST_EVERY_S and progress.done != progress.total:
                return
            self._last_post[job] = (progress.stage, now)
        self._upsert(_progress, "job", job, progress=progress.model_dump_json())

    def ping(self) -> None:
        """raises   ServiceUnavailableError while the database does not answer"""
        with _named_errors(), self._connected().connect() as connection:
            connection.execute(sa.select(1))

    def read(self, job: str) -> Progress | None:
        with _named_errors(), self._connected().connect() as connection:
            text = connection.scalar(sa.select(_progress.c.progress).where(_progress.c.job == job))
        return Progress.model_validate_json(text) if text else None

    def forget(self, jobs: Sequence[str]) -> None:
        with self._connected().begin() as connection:
            for at in range(0, len(jobs), FORGOTTEN_AT_ONCE):
                some = jobs[at : at + FORGOTTEN_AT_ONCE]
                connection.execute(sa.delete(_progress).where(_progress.c.job.in_(some)))

    def compact(self) -> None:
        """Write a SQLite file anew without its free pages, which still hold what was deleted; Postgres does so itself.

        raises   ServiceUnavailableError if the file is in use for too long
        """
        engine = self._connected()
        if engine.dialect.name != "sqlite":
            return
        try:
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(sa.text("VACUUM"))
                connection.execute(sa.text("PRAGMA wal_checkpoint(TRUNCATE)"))
        except sa.exc.OperationalError as error:
            raise ServiceUnavailableError("the job database is in use; what was forgotten is cleared later") from error

    def heartbeat(self, worker: str, now: float) -> None:
        self._upsert(_workers, "worker", worker, seen_at=now)

    def silent_workers(self, service: str, since: float) -> list[str]:
        """Of one service: the jobs of others are out of its reach, though they may lie in the same database."""
        ours = _workers.c.worker.startswith(f"{service}-", autoescape=True)
        with self._connected().connect() as connection:
            return list(connection.scalars(sa.select(_workers.c.worker).where(ours, _workers.c.seen_at < since)))

    def forget_worker(self, worker: str, since: float) -> None:
        """Forget a worker that is still silent; one that woke up meanwhile stays."""
        with self._connected().begin() as connection:
            connection.execute(sa.delete(_workers).where(_workers.c.worker == worker, _workers.c.seen_at < since))

    @contextmanager
    def one_at_a_time(self, queue: str) -> Iterator[sa.Connection]:
        """Let nobody else submit to a queue meanwhile: no thread of ours and, on Postgres, no other process.

        raises   ServiceUnavailableError while the database does not answer
        """
        with _named_errors(), self._door, self._connected().connect() as connection:
            _lock(connection, queue)
            yield connection

    def add_gpu_seconds(self, service: str, show: str, hour: int, seconds: float) -> None:
        """Add to what a show has spent in an hour, by any number of workers; what is a day older is not kept."""
        table = _gpu_seconds
        with self._connected().begin() as connection:
            insert = _insert(connection, table).values(service=service, show=show, hour=hour, seconds=seconds)
            total = table.c.seconds + insert.excluded.seconds
            connection.execute(insert.on_conflict_do_update(index_elements=table.primary_key, set_={"seconds": total}))
            mine = sa.and_(table.c.service == service, table.c.show == show)
            connection.execute(sa.delete(table).where(mine, table.c.hour < hour - 2 * WINDOW_HOURS))

    def gpu_seconds(self, service: str, show: str, since_hour: int) -> list[Spent]:
        table = _gpu_seconds
        wanted = (table.c.service == service, table.c.show == show, table.c.hour >= since_hour)
        with self._connected().connect() as connection:
            rows = connection.execute(sa.select(table.c.hour, table.c.seconds).where(*wanted))
            return [Spent(hour, seconds) for hour, seconds in rows]

    def _upsert(self, table: sa.Table, key: str, value: str, **fields: str | float) -> None:
        """Update, else insert; two first writers of one key are no error."""
        row = table.c[key] == value
        with self._connected().begin() as connection:
            if connection.execute(sa.update(table).where(row).values(**fields)).rowcount == 0:
                insert = _insert(connection, table).values({key: value, **fields})
                connection.execute(insert.on_conflict_do_nothing())

    def _connected(self) -> sa.Engine:
        if self._engine is None:
            raise RuntimeError("the job database is not open yet; Jobs.start opens it")
        return self._engine


@contextmanager
def _named_errors() -> Iterator[None]:
    """A database that is away is a trouble that passes: whoever asks is told so, jobs wait."""
    try:
        yield
    except sa.exc.OperationalError as error:
        raise ServiceUnavailableError("the job database does not answer; wait a moment, then try again") from error


def _lock(connection: sa.Connection, name: str) -> None:
    """On Postgres, wait for what other processes do under this name; ours lasts as long as the transaction.

    Bounded: a process that was cut off from the database while it held the lock would keep all others out for hours.
    """
    if connection.dialect.name == "postgresql":
        for bound in ("lock_timeout", "idle_in_transaction_session_timeout"):
            connection.execute(sa.text(f"SET LOCAL {bound} = '{LOCK_S}s'"))
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(name, 0))))


def _insert(connection: sa.Connection, table: sa.Table) -> Any:
    """An INSERT that knows ON CONFLICT: a class of its own in each dialect."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    return dialect.insert(table)
