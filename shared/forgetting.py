"""Forgetting jobs: what the database of a service remembers of something that was erased, found by its names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from shared.jobs import Jobs
from shared.schemas import Forgetting, Forgotten, RememberedJob
from shared.urls import redact


class Names:
    """What an erased thing is known by.

    words   ids, found wherever they stand alone: `r1` in `recordings/r1.json`, not in `r12`
    texts   whole values; an address is compared without its secrets, as it is stored
    """

    def __init__(self, words: tuple[str, ...], texts: tuple[str, ...]) -> None:
        alternatives = "|".join(re.escape(word) for word in words if word)
        self._words = re.compile(rf"(?<![A-Za-z0-9_-])(?:{alternatives})(?![A-Za-z0-9_-])")
        self._texts = {text for text in texts if text}

    def stand_in(self, value: Any) -> bool:
        return any(self._words.search(text) or self._is_text(text) for text in strings(value))

    def _is_text(self, text: str) -> bool:
        if text.strip() in self._texts:
            return True
        return text.startswith(("http://", "https://")) and redact(text) in self._texts


def strings(value: Any) -> Iterator[str]:
    """Every text in a value of JSON, keys too; texts that hold JSON themselves are looked into."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield str(name)
            yield from strings(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from strings(inner)
    elif isinstance(value, str):
        yield value
        if value.startswith(("{", "[")):
            try:
                yield from strings(json.loads(value))
            except ValueError:
                return
    elif value is not None:
        yield str(value)


def carry_out(request: Forgetting, jobs: Jobs) -> Forgotten:
    """Forget the ended jobs of a service that mention it, or only say which these are.

    raises   ServiceUnavailableError if the database is in use; a repeat goes on
    """
    names = Names(request.words, request.texts)
    ended: list[RememberedJob] = []
    unfinished: list[RememberedJob] = []
    for memory in jobs.memories():
        job = memory.job
        if job.kind in request.spare or job.show not in (None, request.show):
            continue
        mentions = names.stand_in([job.model_dump(mode="json"), memory.request, memory.outcomes])
        found = RememberedJob(id=job.id, service=job.service, kind=job.kind, state=job.state, mentions=mentions)
        if not job.state.ended and (mentions or job.show == request.show):
            unfinished.append(found.model_copy(update={"request": memory.request}))
        elif job.state.ended and mentions:
            ended.append(found)
    if not request.dry_run:
        jobs.forget([job.id for job in ended])
    return Forgotten(service=jobs.service, ended=tuple(ended), unfinished=tuple(unfinished))
