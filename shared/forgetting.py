"""Forgetting jobs: what the database of a service remembers of something that was erased, found by its names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from pydantic import Field

from shared.jobs import Jobs, Memory
from shared.schemas import JobState, Record, Slug
from shared.urls import redact

LONG_ENOUGH, SHORTENED = 8, 40  # letters of a text that is looked for within a sentence: titles are cut there


class Forgetting(Record):
    """Which ended jobs a service is to forget: those that mention an erased thing anywhere.

    words     ids that may stand inside of other values, such as keys
    texts     whole values: a title, a file name
    jobs      ids of jobs, meant with all that were made for them (`ID.step.0`)
    show      whose jobs, besides those of no show, are meant; its unfinished ones are told whatever they mention
    spare     kinds of jobs that are never forgotten
    only      kinds of jobs that are meant; all where none is named
    dry_run   only say what would be forgotten
    """

    show: Slug
    words: tuple[str, ...] = Field(min_length=1)
    texts: tuple[str, ...] = ()
    jobs: tuple[str, ...] = ()
    spare: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    dry_run: bool = True


class RememberedJob(Record):
    """A job as the erasure of what it mentions sees it; `request` is told of unfinished jobs only."""

    id: str
    service: str
    kind: str
    state: JobState
    mentions: bool
    request: dict[str, Any] = Field(default={})


class Forgotten(Record):
    """`ended` jobs that mention it are, or would be, forgotten; `unfinished` ones of the show, or that mention it."""

    service: str
    ended: tuple[RememberedJob, ...]
    unfinished: tuple[RememberedJob, ...]


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
        """Whether a value of JSON mentions it; a text that names a field is none of its own."""
        if any(self._words.search(text) for text in strings(value)):
            return True
        return any(self._is_text(text) for text in strings(value, names=False))

    def stand_within(self, sentence: str) -> bool:
        """Whether what a person reads of a job's progress holds one of the texts, if that is no everyday word."""
        return any(len(text) >= LONG_ENOUGH and text[:SHORTENED] in sentence for text in self._texts)

    def _is_text(self, text: str) -> bool:
        if text.strip() in self._texts:
            return True
        return text.startswith(("http://", "https://")) and redact(text) in self._texts


def strings(value: Any, *, names: bool = True) -> Iterator[str]:
    """Every text in a value of JSON, those that name fields too; texts that hold JSON themselves are looked into."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if names:
                yield str(name)
            yield from strings(inner, names=names)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from strings(inner, names=names)
    elif isinstance(value, str):
        yield value
        if value.startswith(("{", "[")):
            try:
                yield from strings(json.loads(value), names=names)
            except ValueError:
                return
    elif value is not None:
        yield str(value)


def _mentions(names: Names, memory: Memory) -> bool:
    """Whether a job tells of it anywhere but where all jobs of its show or kind say the same."""
    job = memory.job
    said = [job.progress.stage, job.progress.note] if job.progress else []
    told = job.model_dump(mode="json", include={"id", "links", "result", "problem"})
    asked = {name: value for name, value in memory.request.items() if name != "show"}
    return names.stand_in([said, told, asked, memory.outcomes]) or any(map(names.stand_within, said))


def _is_one_of(job_id: str, jobs: tuple[str, ...]) -> bool:
    return any(job_id == meant or job_id.startswith(f"{meant}.") for meant in jobs)


def carry_out(request: Forgetting, jobs: Jobs) -> Forgotten:
    """Forget the ended jobs of a service that mention it, or only say which these are.

    raises   ServiceUnavailableError if the database is in use; a repeat goes on
    """
    names = Names(request.words, request.texts)
    ended: list[RememberedJob] = []
    unfinished: list[RememberedJob] = []
    for memory in jobs.memories():
        job = memory.job
        if job.kind in request.spare or (request.only and job.kind not in request.only):
            continue
        if job.show not in (None, request.show):
            continue
        mentions = _is_one_of(job.id, request.jobs) or _mentions(names, memory)
        found = RememberedJob(id=job.id, service=job.service, kind=job.kind, state=job.state, mentions=mentions)
        if not job.state.ended and (mentions or job.show == request.show):
            unfinished.append(found.model_copy(update={"request": memory.request}))
        elif job.state.ended and mentions:
            ended.append(found)
    if not request.dry_run:
        jobs.forget([job.id for job in ended])
    return Forgotten(service=jobs.service, ended=tuple(ended), unfinished=tuple(unfinished))
