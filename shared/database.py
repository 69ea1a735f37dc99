"""Where job state lives, and how its database is opened: a SQLite file, or Postgres by URL."""

from __future__ import annotations

import sqlite3
import sys
from typing import Any

import pysqlite3.dbapi2

from shared.settings import ServiceSettings

SUBSECONDS_SINCE = (3, 42)


def database_url(service: str, settings: ServiceSettings) -> str:
    """The URL that was set, or a SQLite file of this service (one process per file)."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{(settings.state_dir / f'{service}.sqlite').absolute()}"


def engine_options(url: str) -> dict[str, Any]:
    """Options of SQLAlchemy's create_engine.

    On Python 3.12 the workflow library asks SQLite for `unixepoch('subsec')`, which the system's library may be too old
    for; then a newer one from a package opens the file, for all of the process: two libraries must not share a file.
    """
    if not url.startswith("sqlite"):
        return {}
    too_old = sys.version_info >= (3, 12) and sqlite3.sqlite_version_info < SUBSECONDS_SINCE
    return {"module": pysqlite3.dbapi2} if too_old else {}
