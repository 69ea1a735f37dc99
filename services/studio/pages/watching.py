"""A job that a page ordered and shows until it has ended: the page's address names it, `?job=`."""

from __future__ import annotations

from fastapi import Request

from services.studio.pages.studio import jobs_of
from shared.schemas import Job


def watched(request: Request, show: str, job: str) -> Job | None:
    """The job, if it is one of this show. raises NotFoundError for one that does not exist"""
    if not job:
        return None
    found = jobs_of(request).get(job)
    return found if found.show == show else None
