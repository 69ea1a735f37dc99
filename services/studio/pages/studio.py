"""What the pages are filled from."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request

from services.studio.crew import Crew
from services.studio.doors.job_logs import AskLogs
from services.studio.doors.status import Statuses
from services.studio.glances import Glances
from services.studio.library import Library
from services.studio.pages.frame import Frame
from services.studio.pages.shelf import Shelf
from shared.jobs import Jobs
from shared.store import Store
from shared.tokens import TokenBook


@dataclass(frozen=True)
class Studio:
    store: Store
    library: Library
    glances: Glances
    shelf: Shelf
    crew: Crew
    book: TokenBook
    statuses: Statuses
    ask_logs: AskLogs
    frame: Frame


def jobs_of(request: Request) -> Jobs:
    jobs: Jobs = request.app.state.jobs
    return jobs
