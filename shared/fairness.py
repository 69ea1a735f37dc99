"""Fair order between shows: start-time fair queueing. Each queued job has a tag, and lower tags go first.

Tags count rounds: in a round each show that waits has one job. So five hundred jobs of one show lie in five hundred
rounds, and the first job of another show is in the round that is now being served.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

FIRST_ROUND = 1  # 0 is the tag of jobs that were queued before there were tags: they go first
NO_SHOW = ""  # jobs that belong to no show count as one show of their own
SHOW = "show"


@dataclass(frozen=True)
class Line:
    """What a new job of a show finds in the queue of its service; tags are None where there is no such job.

    lowest_queued     of all shows
    highest_running   of all shows
    own_highest       of the show's jobs that have not ended
    own_newest        of the show's newest job, whatever became of it
    own_unfinished    how many of the show's jobs have not ended
    """

    lowest_queued: int | None
    highest_running: int | None
    own_highest: int | None
    own_newest: int | None
    own_unfinished: int


def next_tag(line: Line) -> int:
    """The tag of a new job: the round that is served now, or the one after the show's last.

    A show whose last job has just ended had its turn in this round: else short jobs of two shows, one after the other,
    would keep a third waiting.
    """
    current = line.lowest_queued or line.highest_running or FIRST_ROUND
    if line.own_highest is not None:
        return max(current, line.own_highest + 1)
    if line.own_newest is not None:
        return max(current, min(line.own_newest, current) + 1)
    return current


def read_line(connection: sa.Connection, queue: str, show: str) -> Line:
    """Look at a queue in the workflow library's table, without reading what its jobs were asked for."""
    jobs = _jobs_in(connection)
    queued, running = jobs.c.status == _literal("ENQUEUED"), jobs.c.status == _literal("PENDING")
    own = jobs.c.attributes[SHOW].as_string() == show
    tagged = jobs.c.priority >= FIRST_ROUND
    found = connection.execute(
        sa.select(
            sa.func.min(sa.case((sa.and_(queued, tagged), jobs.c.priority))),
            sa.func.max(sa.case((sa.and_(running, tagged), jobs.c.priority))),
            sa.func.max(sa.case((own, jobs.c.priority))),
            sa.func.count(sa.case((own, 1))),
        ).where(jobs.c.queue_name == queue, jobs.c.status.in_([_literal("ENQUEUED"), _literal("PENDING")]))
    ).one()
    lowest_queued, highest_running, own_highest, own_unfinished = found
    newest = sa.select(jobs.c.priority).where(jobs.c.queue_name == queue, own).order_by(jobs.c.created_at.desc())
    own_newest = None if own_unfinished else connection.scalar(newest.limit(1))
    return Line(lowest_queued, highest_running, own_highest, own_newest, own_unfinished)


def _jobs_in(connection: sa.Connection) -> sa.TableClause:
    """The library's table of jobs, as far as we read it; its own calls list jobs neither by tag nor by show."""
    return sa.table(
        "workflow_status",
        sa.column("queue_name", sa.String),
        sa.column("status", sa.String),
        sa.column("priority", sa.Integer),
        sa.column("created_at", sa.BigInteger),
        sa.column("attributes", sa.JSON().with_variant(JSONB(), "postgresql")),
        schema="dbos" if connection.dialect.name == "postgresql" else None,
    )


def _literal(status: str) -> Any:
    """Written out, not bound: only so does SQLite use the library's index of unfinished jobs."""
    return sa.literal_column(f"'{status}'")
