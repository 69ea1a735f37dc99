"""A show to review: spoken recordings with sound, waveform and doubtful turns, and transcription's real answers."""

from __future__ import annotations

import io
import json
import wave
from collections.abc import Callable, Sequence
from typing import Any

import httpx
import numpy as np

from services.ingest.peaks import Peaks
from services.transcription import editing, replacing, revisions
from shared import keys
from shared.client import ServiceClient
from shared.corrections import CorrectionRequest, ReplaceRequest, UndoBatchRequest
from shared.errors import DiaryError
from shared.problems import problem_of
from shared.schemas import (
    HostMethod,
    Lineage,
    Recording,
    Role,
    Show,
    Speaker,
    Transcript,
    Turn,
    Word,
)
from shared.store import create_manifest, point, put_blob
from tests.fakes import MemoryStore, ScriptedCrew

SHOW = "lamp"
RATE_HZ = 16_000
WORD_S = 0.5
ROLES = {"S1": Role.HOST, "S2": Role.GUEST, "S3": Role.OTHER}
NAMES = {"S1": "Mara Quill", "S2": "Ann Reed"}
HOSTILE = "<img src=x onerror=alert(1)>"

# speaker that the machine heard, what is said, how doubtful it is
Line = tuple[str, str, float]
LINES: tuple[Line, ...] = (
    ("S1", "Welcome to the lamplight hour, Ann, it is good to have you here with us.", 0.0),
    ("S2", "Thank you, Mara, I have listened to it for years.", 0.0),
    ("S2", "Yes.", 0.9),
    ("S2", "So tell me, when did you first light a lamp that nobody had asked for?", 0.8),
    ("S1", "I was nine, and my grandmother handed me the matches without a word.", 0.7),
    ("S1", "Right.", 0.65),
    ("S2", "She only said that light is a promise, and then she went out to the garden.", 0.0),
    ("S1", "Mhm.", 0.6),
    ("S2", "How long did it take you to understand what she meant by that?", 0.55),
    ("S1", "Years, I am not sure that I understand it now.", 0.5),
    ("S1", "And the workshop, who built it? My uncle did, with his own hands.", 0.45),
    ("S2", "It smelt of oil.", 0.4),
    ("S1", "We will come back to that.", 0.0),
    ("S2", "Please do.", 0.3),
    ("S1", "Thank you for coming.", 0.0),
)


class CorrectingCrew(ScriptedCrew):
    """A Crew whose transcription is the real one, without its door: corrections, histories, orders over a show.

    away   what it answers instead, while it is set: a status
    """

    def __init__(self, store: MemoryStore) -> None:
        super().__init__()
        self.away: int | None = None
        self._store = store

    def client(self, service: str, actor: str) -> ServiceClient:
        def answer(request: httpx.Request) -> httpx.Response:
            if self.away:
                return httpx.Response(self.away, json={"detail": f"{service} does not answer; start it"})
            try:
                return self._answered(request, actor)
            except DiaryError as error:
                problem = problem_of(error, None)
                return httpx.Response(problem.status, json=problem.model_dump(mode="json"))

        return ServiceClient(service, "http://here", "token", actor=actor, transport=httpx.MockTransport(answer))

    def _answered(self, request: httpx.Request, actor: str) -> httpx.Response:
        if request.url.path == "/v1/corrections":
            wanted = CorrectionRequest.model_validate_json(request.content)
            self.at_once.append((actor, request.method, request.url.path, json.loads(request.content)))
            made = editing.correct(wanted, store=self._store, actor=actor)
            return httpx.Response(201, text=editing.result(made).model_dump_json())
        assert request.url.path.startswith("/v1/history/")
        show, recording = request.url.path.split("/")[-2:]
        found = revisions.history(self._store, show, recording)
        return httpx.Response(200, json=[one.model_dump(mode="json") for one in found])

    def ask(self, job: Any, step: str, service: str, path: str, request: Any, result_type: type[Any]) -> Any:
        orders: dict[type[Any], Callable[..., Any]] = {
            ReplaceRequest: replacing.replace,
            UndoBatchRequest: replacing.undo_batch,
        }
        return orders[type(request)](request, job=job, store=self._store, follow_up=lambda *about: None)


def put_reviewed_show(store: MemoryStore) -> None:
    create_manifest(store, keys.show(SHOW), Show(slug=SHOW, title="The Lamplight Hour", host="Mara Quill"))


def put_talk(
    store: MemoryStore, name: str, lines: Sequence[Line] = LINES, *, sound: bool = True, title: str = ""
) -> Transcript:
    """A recording as it comes out of ingest, and its transcript as the machine heard it."""
    talk = talk_of(name, lines)
    duration_s = talk.duration_s or 0.0
    samples = noise(duration_s) if sound else b""
    peaks = Peaks()
    peaks.add(samples)
    recording = Recording(
        id=name,
        show=SHOW,
        title=title or f"Ann Reed on {name}",
        guest="Ann Reed",
        source=f"upload:{name}",
        original=put_blob(store, b"original of " + name.encode(), "audio/mpeg"),
        working=put_blob(store, b"flac of " + name.encode(), "audio/flac") if sound else None,
        web=put_blob(store, wav(samples), "audio/wav") if sound else None,
        peaks=put_blob(store, peaks.dat(), "application/octet-stream") if sound else None,
        duration_s=duration_s,
        lineage=lineage(),
    )
    create_manifest(store, keys.recording(SHOW, name), recording)
    create_manifest(store, keys.transcript(SHOW, name, talk.id), talk)
    point(store, keys.transcript_head(SHOW, name), talk.id.encode())
    return talk


def lineage() -> Lineage:
    return Lineage(by="test", version="0", job="j", actor="ann")


def talk_of(name: str, lines: Sequence[Line] = LINES) -> Transcript:
    """Half a second a word, half a second between turns; what is doubted has a reason."""
    turns, at_s = [], 0.0
    for number, (speaker, text, doubt) in enumerate(lines, start=1):
        words = tuple(
            Word(text=word, start_s=at_s + n * WORD_S, end_s=at_s + (n + 1) * WORD_S)
            for n, word in enumerate(text.split())
        )
        reasons = ("shorter than 1 s",) if len(words) < 2 else ("sounds like the other speaker",)
        turns.append(
            Turn(
                id=f"t{number}", speaker=speaker, role=ROLES[speaker], start_s=words[0].start_s, end_s=words[-1].end_s,
                text=text, words=words, needs_review=doubt > 0, review_reasons=reasons if doubt else (), doubt=doubt,
            )
        )  # fmt: skip
        at_s = words[-1].end_s + WORD_S
    labels = dict.fromkeys(speaker for speaker, _, _ in lines)
    speech_s = {label: sum(turn.end_s - turn.start_s for turn in turns if turn.speaker == label) for label in labels}
    return Transcript(
        id="rev1",
        recording=name,
        show=SHOW,
        kind="machine",
        guest="Ann Reed",
        duration_s=at_s,
        speakers=tuple(
            Speaker(label=label, role=ROLES[label], name=NAMES.get(label), speech_s=speech_s[label])
            for label in sorted(labels)
        ),
        host_method=HostMethod.VOICEPRINT,
        turns=tuple(turns),
        lineage=lineage(),
    )


def noise(duration_s: float) -> bytes:
    """16 bit mono samples that swell and fade."""
    count = int(duration_s * RATE_HZ)
    loud = 6000 * (0.6 + 0.4 * np.sin(np.arange(count) / RATE_HZ * 2.0))
    return np.asarray(loud * np.random.default_rng(1).uniform(-1, 1, count)).astype("<i2").tobytes()


def wav(samples: bytes) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE_HZ)
        out.writeframes(samples)
    return file.getvalue()


def current_talk(store: MemoryStore, name: str) -> Transcript:
    head = store.get(keys.transcript_head(SHOW, name)).decode()
    return Transcript.model_validate_json(store.get(keys.transcript(SHOW, name, head)))


def correct(store: MemoryStore, name: str, *edits: Any, by: str = "mel") -> Transcript:
    """What somebody else changes meanwhile."""
    base = current_talk(store, name).id
    wanted = CorrectionRequest(show=SHOW, recording=name, base=base, edits=edits)
    return editing.correct(wanted, store=store, actor=by)
