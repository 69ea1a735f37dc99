"""All pages, put into studio's app: the gate before every door, errors as pages, one router per kind of page."""

from __future__ import annotations

import os
from datetime import timedelta

from fastapi import FastAPI

from services.studio.api_examples import describe
from services.studio.pages.comparisons import comparisons_pages
from services.studio.pages.datasets import datasets_pages
from services.studio.pages.episodes import episodes_pages
from services.studio.pages.frame import STATIC, Statics, show_errors_as_pages
from services.studio.pages.gate import Gate
from services.studio.pages.guests import guests_pages
from services.studio.pages.hosts import hosts_pages
from services.studio.pages.jobs import jobs_pages
from services.studio.pages.login import login_pages
from services.studio.pages.recordings import recordings_pages
from services.studio.pages.reference import reference_pages
from services.studio.pages.repeats import repeats_pages
from services.studio.pages.review import review_pages
from services.studio.pages.runs import runs_pages
from services.studio.pages.sessions import Sessions
from services.studio.pages.shows import shows_pages
from services.studio.pages.sources import sources_pages
from services.studio.pages.studio import Studio
from services.studio.pages.tokens import tokens_pages

DOORS = (
    shows_pages,
    jobs_pages,
    reference_pages,
    sources_pages,
    recordings_pages,
    hosts_pages,
    repeats_pages,
    episodes_pages,
    guests_pages,
    comparisons_pages,
    review_pages,
    datasets_pages,
    runs_pages,
    tokens_pages,
)


def add_pages(app: FastAPI, studio: Studio, service_token: str, lasts: timedelta) -> None:
    """Put the pages into an app.

    service_token   signs the cookies; without one they are good until studio starts again
    lasts           how long a browser stays signed in
    """
    sessions = Sessions(studio.book, service_token.encode() or os.urandom(32), lasts)
    app.include_router(login_pages(studio.frame, sessions, int(lasts.total_seconds())))
    for pages in DOORS:
        app.include_router(pages(studio))
    describe(app)
    app.mount("/static", Statics(directory=STATIC), name="static")
    show_errors_as_pages(app, studio.frame)
    app.add_middleware(Gate, sessions=sessions)
