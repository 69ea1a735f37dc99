"""What a page tells of a transcript at a glance. A revision never changes, so that each is read once, and forgotten
again when another one is current. Many that nobody has read yet are read aside, while pages tell how many are left.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from services.studio.library import read_together
from shared import keys
from shared.corrections import ReviewItem
from shared.errors import ArtifactMissingError
from shared.schemas import HostMethod, Record, Role, Speaker, Transcript, TranscriptState, Turn
from shared.store import Store, load

PATIENCE_S = 0.1


class Glance(Record):
    """A transcript without its turns, but for the doubtful ones.

    speech_s   of all speakers together
    """

    recording: str
    revision: str
    kind: str
    state: TranscriptState
    host_method: HostMethod
    host_known: bool
    speakers: tuple[Speaker, ...]
    turns: int
    words: int
    speech_s: float
    doubtful: tuple[ReviewItem, ...]
    warnings: tuple[str, ...]

    @property
    def waits_for_review(self) -> bool:
        return bool(self.doubtful) or not self.host_known


class Seen(Record):
    """The glances of a show; `unread` transcripts are being read right now."""

    glances: tuple[Glance, ...]
    unread: int = 0


class Glances:
    """Of all transcripts, for pages that must not wait for 500 of them to be read."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._heads: dict[str, tuple[str, str]] = {}
        self._known: dict[str, Glance] = {}
        self._guard = threading.Lock()
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="glances")
        self._reading: set[str] = set()

    def all(self, show: str) -> tuple[Glance, ...]:
        """Those of the show's current revisions, however long it takes to read them."""
        return self.of(show, math.inf).glances

    def one(self, show: str, recording: str) -> Glance:
        """raises ArtifactMissingError for a recording without a transcript"""
        revision = self._store.get(keys.transcript_head(show, recording)).decode()
        key = keys.transcript(show, recording, revision)
        known = self._known.get(key)
        return glance_of(load(self._store, key, Transcript)) if known is None else known

    def of(self, show: str, patience_s: float = PATIENCE_S) -> Seen:
        """Those of the show's current revisions. What is not read within `patience_s` is read aside."""
        wanted = self._current(show)
        unread = [key for key in wanted if key not in self._known]
        until = time.monotonic() + patience_s
        while unread and time.monotonic() < until:
            self._read(unread.pop(0))
        self._read_aside(unread)
        self._forget(show, wanted)
        glances = tuple(found for key in wanted if (found := self._known.get(key)) is not None)
        return Seen(glances=glances, unread=len([key for key in unread if key not in self._known]))

    def _current(self, show: str) -> list[str]:
        """Keys of the current revisions, in order of their recordings."""
        listed = self._store.sizes(keys.transcripts(show))
        heads = {key: stored.tag for key, stored in listed.items() if key.endswith("/head")}
        for gone in [key for key in list(self._heads) if key.startswith(keys.transcripts(show)) and key not in heads]:
            self._heads.pop(gone, None)
        moved = [key for key, tag in heads.items() if self._heads.get(key, ("",))[0] != tag]
        for key, (data, tag) in read_together(self._store, moved).items():
            self._heads[key] = (tag, keys.transcript(show, key.split("/")[-2], data.decode()))
        return [known[1] for key in heads if (known := self._heads.get(key)) is not None]

    def _read(self, key: str) -> None:
        if key in self._known:
            return
        try:
            self._known[key] = glance_of(load(self._store, key, Transcript))
        except ArtifactMissingError:
            return

    def _read_aside(self, wanted: Sequence[str]) -> None:
        with self._guard:
            new = [key for key in wanted if key not in self._reading]
            self._reading |= set(new)
        for key in new:
            self._reader.submit(self._read_and_note, key)

    def _read_and_note(self, key: str) -> None:
        try:
            self._read(key)
        finally:
            with self._guard:
                self._reading.discard(key)

    def _forget(self, show: str, wanted: Sequence[str]) -> None:
        current, prefix = set(wanted), keys.transcripts(show)
        for key in [key for key in list(self._known) if key.startswith(prefix) and key not in current]:
            self._known.pop(key, None)


def glance_of(transcript: Transcript) -> Glance:
    return Glance(
        recording=transcript.recording,
        revision=transcript.id,
        kind=transcript.kind,
        state=transcript.state,
        host_method=transcript.host_method,
        host_known=any(speaker.role is Role.HOST for speaker in transcript.speakers),
        speakers=transcript.speakers,
        turns=len(transcript.turns),
        words=sum(len(turn.text.split()) for turn in transcript.turns),
        speech_s=round(sum(speaker.speech_s for speaker in transcript.speakers), 1),
        doubtful=doubtful_turns(transcript, ""),
        warnings=transcript.warnings,
    )


def doubtful_turns(transcript: Transcript, title: str) -> tuple[ReviewItem, ...]:
    """What nobody settled; of an approved transcript nothing."""
    if transcript.state is TranscriptState.APPROVED:
        return ()
    speakers = {speaker.label: speaker for speaker in transcript.speakers}
    return tuple(
        _item(transcript, title, turn, speakers[turn.speaker]) for turn in transcript.turns if turn.needs_review
    )


def _item(transcript: Transcript, title: str, turn: Turn, speaker: Speaker) -> ReviewItem:
    return ReviewItem(
        recording=transcript.recording,
        title=title,
        transcript=transcript.id,
        turn=turn.id,
        speaker=turn.speaker,
        role=turn.role,
        name=speaker.name,
        start_s=turn.start_s,
        end_s=turn.end_s,
        text=turn.text,
        reasons=turn.review_reasons,
        doubt=turn.doubt,
    )
