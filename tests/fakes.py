"""Every fake of the tests, named so.

In the process of a test    stores, jobs, a crew, scripted engines, yt-dlp's errors, a web site, a Kubernetes cluster
As a program                `python -m tests.fakes NAME`, what an engine command may be set to:

    ingest, transcription, trainer    scripted engines that speak the pipe protocol, for tests with a whole stack
    voices                            the same for the voices of episodes
    toy                               a pipe engine with every way to misbehave
    counting                          a training engine that counts instead of learning
    vllm --port N --model DIR         a vLLM server, with any flag of the real one

Services' modules are imported inside: a test that wants MemoryStore pays for nothing else.
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar
from urllib.parse import parse_qsl, urlsplit

import httpx

from shared import keys
from shared.errors import (
    ArtifactMissingError,
    BadInputError,
    ConflictError,
    DiaryError,
    EngineRefusedError,
    JobCancelledError,
    StoreUnavailableError,
)

if TYPE_CHECKING:
    from services.inference.adapters import AdapterFiles
    from services.inference.engine import Ask, Candidate
    from services.inference.speech_engine import Part, Setup
    from services.ingest.audio import Converted, Mixed, Silence, TrackFile
    from services.ingest.catalogue import Catalogue
    from services.ingest.metadata import Downloaded
    from services.trainer.plan import Device, KeepCheckpoint, Plan, Trained
    from services.transcription.diarisation import Span
    from services.transcription.hearing import Aligned, Heard, Piece, TracksHeard, Voice, Voices
    from services.transcription.hearing import TrackFile as SpeechTrack
    from services.transcription.reference import Talk
    from shared.client import ServiceClient
    from shared.engines import Reporter, Watch
    from shared.models import Base
    from shared.render import Renderer
    from shared.schemas import MetricPoint, Word
    from shared.store import Stored

T = TypeVar("T")


# ---- stores ----------------------------------------------------------------------------------------------------------


class MemoryStore:
    """A Store in a dict, with the same promises as the real one.

    written   when an object was written; what tests put in is new
    parts     name of a write that broke off -> when it began
    """

    def __init__(self, objects: dict[str, bytes] | None = None) -> None:
        self.objects = dict(objects or {})
        self.written: dict[str, datetime] = {}
        self.parts: dict[str, datetime] = {}
        self._guard = threading.Lock()

    def grow_old(self, hours: float) -> None:
        """Let time pass for all that is stored now."""
        for key in self.objects:
            self.written[key] = self._modified(key) - timedelta(hours=hours)

    def _stored(self, key: str) -> Stored:
        from shared.store import Stored

        data = self.objects[key]
        return Stored(len(data), self._modified(key), hashlib.md5(data).hexdigest())

    def _modified(self, key: str) -> datetime:
        return self.written.get(key, datetime.now(UTC))

    def get(self, key: str) -> bytes:
        return self.read(key)[0]

    def read(self, key: str) -> tuple[bytes, str]:
        try:
            data = self.objects[key]
        except KeyError:
            raise ArtifactMissingError(key, keys.advice(key)) from None
        return data, hashlib.md5(data).hexdigest()

    def create(self, key: str, data: bytes) -> bool:
        with self._guard:
            if key in self.objects:
                return False
            self.objects[key] = data
            return True

    def replace(self, key: str, data: bytes, tag: str) -> None:
        with self._guard:
            if key not in self.objects or hashlib.md5(self.objects[key]).hexdigest() != tag:
                raise ConflictError(f"{key} was changed by somebody else meanwhile")
            self.objects[key] = data
            self.written.pop(key, None)

    def put_stream(self, key: str, stream: BinaryIO, media_type: str) -> None:
        self.objects[key] = stream.read()
        self.written.pop(key, None)

    def fetch(self, key: str, path: Path) -> None:
        path.write_bytes(self.get(key))

    def stream(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        data = self.get(key)[offset:][:length]
        yield from (data[at : at + 1000] for at in range(0, len(data), 1000))

    def stat(self, key: str) -> Stored | None:
        try:
            return self._stored(key)
        except KeyError:  # also where another thread removes it meanwhile
            return None

    def exists(self, key: str) -> bool:
        return key in self.objects

    def list(self, prefix: str) -> list[str]:
        return sorted(key for key in tuple(self.objects) if key.startswith(prefix))

    def folders(self, prefix: str) -> tuple[str, ...]:
        below = {key.removeprefix(prefix) for key in self.list(prefix)}
        return tuple(sorted({rest.split("/")[0] for rest in below if "/" in rest}))

    def sizes(self, prefix: str) -> dict[str, Stored]:
        return {key: found for key in self.list(prefix) if (found := self.stat(key))}

    def delete(self, key: str) -> None:
        self.objects.pop(key, None)
        self.written.pop(key, None)

    def broken_off(self, before: datetime) -> tuple[str, ...]:
        return tuple(sorted(name for name, began in self.parts.items() if began < before))

    def drop_broken_off(self, name: str) -> None:
        self.parts.pop(name, None)


class InterruptedStore(MemoryStore):
    """A store in which somebody else is faster, once: just before the first conditional write.

    objects   shared with the other's store
    """

    def __init__(self, objects: dict[str, bytes], interruption: Callable[[], Any]) -> None:
        super().__init__()
        self.objects = objects
        self._interruption: Callable[[], Any] | None = interruption

    def replace(self, key: str, data: bytes, tag: str) -> None:
        interruption, self._interruption = self._interruption, None
        if interruption is not None:
            interruption()
        super().replace(key, data, tag)


class AwayStore(MemoryStore):
    """A store that answers nothing while `away` is set."""

    away = False

    def exists(self, key: str) -> bool:
        if self.away:
            raise StoreUnavailableError("the object store does not answer; start it with `make up`")
        return super().exists(key)


class TwoWinnersStore(MemoryStore):
    """A store that ignores conditions, as some S3 servers do: every writer believes to have won."""

    def create(self, key: str, data: bytes) -> bool:
        self.objects[key] = data
        return True

    def replace(self, key: str, data: bytes, tag: str) -> None:
        self.objects[key] = data


class HugeStore(MemoryStore):
    """A store whose objects are said to be larger than any disk."""

    def _stored(self, key: str) -> Stored:
        return super()._stored(key)._replace(bytes=10**18)


class FullDiskStore(MemoryStore):
    """A store whose objects do not fit into the work folder."""

    def fetch(self, key: str, path: Path) -> None:
        path.write_bytes(b"the part that fitted")
        raise OSError(errno.ENOSPC, "No space left on device", str(path))


class DyingStore(MemoryStore):
    """A store that loses power before its n-th change."""

    changes_left = 0

    def _change(self) -> None:
        if self.changes_left == 0:
            raise KeyboardInterrupt
        self.changes_left -= 1

    def create(self, key: str, data: bytes) -> bool:
        self._change()
        return super().create(key, data)

    def replace(self, key: str, data: bytes, tag: str) -> None:
        self._change()
        super().replace(key, data, tag)

    def put_stream(self, key: str, stream: BinaryIO, media_type: str) -> None:
        self._change()
        super().put_stream(key, stream, media_type)

    def delete(self, key: str) -> None:
        self._change()
        super().delete(key)


# ---- jobs and the crew -----------------------------------------------------------------------------------------------


class FakeJob:
    """A JobContext that remembers what it was told. `at_work` are other jobs that have not ended."""

    def __init__(self, work_dir: Path, job_id: str = "job-1", kind: str = "test") -> None:
        self.id = job_id
        self.kind = kind
        self.actor = "tester"
        self.trace_id = "0" * 32
        self.work_dir = work_dir
        self.events: list[tuple[str, float, float | None, str]] = []
        self.figures: list[tuple[str, dict[str, float]]] = []
        self.notes: list[str] = []
        self.steps: dict[str, Any] = {}
        self.at_work: set[str] = set()
        self._cancelled = False

    def cancel(self) -> None:
        self._cancelled = True

    def check(self) -> None:
        if self._cancelled:
            raise JobCancelledError(f"job {self.id} was cancelled")

    def is_over(self, job_id: str) -> bool:
        return job_id not in self.at_work

    def progress(
        self,
        stage: str,
        done: float = 0,
        total: float | None = None,
        unit: str = "",
        note: str = "",
        figures: Mapping[str, float] | None = None,
    ) -> None:
        self.events.append((stage, done, total, unit))
        self.figures.append((stage, dict(figures or {})))
        self.notes.append(note)

    def step(self, name: str, work: Callable[[], T]) -> T:
        if name not in self.steps:
            self.steps[name] = work()
        return self.steps[name]


class HookedFakeJob(FakeJob):
    """A job that calls the test at each check and each report of progress, to cancel or to kill just there."""

    def __init__(
        self,
        work_dir: Path,
        *,
        at_check: Callable[[FakeJob], None] = lambda job: None,
        at_progress: Callable[[FakeJob, str], None] = lambda job, stage: None,
    ) -> None:
        super().__init__(work_dir)
        self._at_check, self._at_progress = at_check, at_progress

    def check(self) -> None:
        self._at_check(self)
        super().check()

    def progress(self, stage: str, *figures: Any, **more: Any) -> None:
        super().progress(stage, *figures, **more)
        self._at_progress(self, stage)


class TimedFakeJob(FakeJob):
    """A job that remembers when each stage began."""

    def __init__(self, work_dir: Path) -> None:
        super().__init__(work_dir)
        self.began: dict[str, float] = {}

    def progress(self, stage: str, *figures: Any, **more: Any) -> None:
        super().progress(stage, *figures, **more)
        self.began.setdefault(stage, time.monotonic())

    def seconds(self) -> dict[str, float]:
        edges = [*self.began.values(), time.monotonic()]
        return {stage: round(end - start, 1) for stage, start, end in zip(self.began, edges, edges[1:], strict=False)}


class ScriptedCrew:
    """A Crew that asks no service: it writes down the requests and answers from a script.

    spoken   upload key or URL -> whether that source has audio (true if it is not listed)
    grown    source of the show -> recordings that a refresh brings
    """

    def __init__(self, spoken: dict[str, bool] | None = None, grown: Mapping[str, Sequence[str]] | None = None) -> None:
        self.asked: list[tuple[str, list[Any]]] = []
        self.at_once: list[tuple[str, str, str, Any]] = []
        self.answers: dict[str, tuple[int, Any]] = {}
        self._spoken = spoken or {}
        self._grown = grown or {}

    def client(self, service: str, actor: str) -> ServiceClient:
        """What is asked at once is answered by `answers` (path -> status, JSON), and written down."""
        from shared.client import ServiceClient

        def answer(request: httpx.Request) -> httpx.Response:
            body = json.loads(request.content) if request.content else None
            self.at_once.append((actor, request.method, request.url.path, body))
            status, said = self.answers.get(request.url.path, (404, {"detail": "the script says nothing of it"}))
            return httpx.Response(status, json=said)

        return ServiceClient(service, "http://scripted", "token", actor=actor, transport=httpx.MockTransport(answer))

    def ask(self, job: Any, step: str, service: str, path: str, request: Any, result_type: type[Any]) -> Any:
        return self.ask_each(job, step, service, path, [request], result_type)[0]

    def ask_each(
        self, job: Any, step: str, service: str, path: str, requests: Sequence[Any], result_type: type[Any]
    ) -> list[Any]:
        def work() -> list[Any]:
            self.asked.append((step, list(requests)))
            return [self._answer(path, request) for request in requests]

        return [result_type.model_validate(answer) for answer in job.step(step, work)]

    def try_each(
        self, job: Any, step: str, service: str, path: str, requests: Sequence[Any], result_type: type[Any]
    ) -> list[Any]:
        """A piece of work whose answer has a `problem` failed."""
        from services.studio.crew import outcome_of

        def work() -> list[Any]:
            self.asked.append((step, list(requests)))
            answers = [self._answer(path, request) for request in requests]
            return [answer if "problem" in answer else {"result": answer} for answer in answers]

        return [outcome_of(told, result_type) for told in job.step(step, work)]

    def _answer(self, path: str, request: Any) -> dict[str, Any]:
        name = hashlib.sha256(request.model_dump_json().encode()).hexdigest()[:8]
        if path == "/v1/recordings":
            has_audio = self._spoken.get(request.upload_key or request.url, True)
            return {"recording": name, "key": f"r/{name}", "new": True, "has_audio": has_audio}
        if path == "/v1/refreshes":
            made = self._grown[request.source]
            counts = {"found": 9, "new": len(made), "known": 9 - len(made), "erased": 0, "left_out": {}}
            facts = {"title": "A feed", "dry_run": request.dry_run, "hours": 1.0, "bytes": 1, "recordings": made}
            return {"source": request.source, **counts, **facts}
        if path in ("/v1/transcripts", "/v1/hosts"):
            facts = {"speakers": 2, "host_method": "guessed", "turns": 9}
            return {"transcript": name, "recording": request.recording, "key": f"t/{name}", **facts}
        if path in ("/v1/hosts/found", "/v1/recognitions"):
            return {"host_found": True}
        if path == "/v1/datasets":
            return {"dataset": name, "key": f"d/{name}", "tokens": 100, "examples": 3}
        if path == "/v1/adapters":
            return {
                "adapter": f"lamplight.r1.{name}",
                "key": f"a/{name}",
                "eval_loss_before": 2.2,
                "eval_loss_after": 2.1,
            }
        if path == "/v1/renderings":
            sizes = {"duration_s": 9.5, "bytes": 76_000, "turns": 2, "spoken": 2, "chapters": 2}
            return {"episode": request.episode, "key": f"e/{name}", **sizes}
        if path == "/v1/episodes" and request.review_plan:
            plan = [{"title": "Lamps", "beats": ["the first lamp"]}]
            brief = request.model_dump(mode="json") | {"review_plan": False, "plan": plan}
            return {"episode": "", "key": "", "words": 0, "turns": 0, "canary": None, "brief": brief}
        if path == "/v1/episodes" and request.write == "questions":
            name = "asked"
        return {"episode": name, "key": f"e/{name}", "words": 200, "turns": 9, "canary": True}


class FeedingCrew(ScriptedCrew):
    """A Crew whose ingest takes uploads over into recordings, refuses what is named broken, and knows one source.

    refresh   what a refresh, or a preview of it, tells
    """

    def __init__(self, store: MemoryStore, refresh: dict[str, Any] | None = None) -> None:
        super().__init__()
        self._store = store
        self._refresh = refresh or {}

    def _answer(self, path: str, request: Any) -> dict[str, Any]:
        if path == "/v1/refreshes":
            return {**self._refresh, "source": request.source, "dry_run": request.dry_run}
        if path == "/v1/recordings" and request.upload_key:
            return self._take_over(request)
        return super()._answer(path, request)

    def _take_over(self, request: Any) -> dict[str, Any]:
        from shared.schemas import Lineage, Recording
        from shared.store import create_manifest, put_blob
        from shared.uploads import forget_upload, pieces

        parts = [self._store.get(piece.key) for piece in pieces(self._store, request.upload_key)]
        data = b"".join(parts) or self._store.get(request.upload_key)
        forget_upload(self._store, request.upload_key)
        if "broken" in request.filename:
            raise BadInputError("this is no sound; choose another file")
        original = put_blob(self._store, data, "audio/mpeg")
        recording = Recording(
            id=original.sha256[:16],
            show=request.show,
            title=request.title or request.filename,
            guest=request.guest,
            source=f"upload:{request.filename}",
            original=original,
            working=put_blob(self._store, b"flac of " + data[:100], "audio/flac"),
            lineage=Lineage(by="test", version="0", job="j", actor="ann"),
        )
        key = keys.recording(request.show, recording.id)
        new = create_manifest(self._store, key, recording)
        return {"recording": recording.id, "key": key, "new": new, "has_audio": True}


class HesitantStore(MemoryStore):
    """A store that keeps the pieces of an upload from `slow_from` on only once it `may_go_on`."""

    def __init__(self, slow_from: int) -> None:
        super().__init__()
        self.may_go_on = threading.Event()
        self.waiting = threading.Event()
        self._slow_from = slow_from

    def create(self, key: str, data: bytes) -> bool:
        name = key.rsplit("/", 1)[1]
        if key.startswith(keys.UPLOADS) and name.isdigit() and int(name) >= self._slow_from:
            self.waiting.set()
            self.may_go_on.wait(60)
        return super().create(key, data)


class FlakyTransport(httpx.BaseTransport):
    """A network that fails some requests, told by their number: `before` they are sent, or `after` they were heard."""

    def __init__(self, before: Sequence[int] = (), after: Sequence[int] = ()) -> None:
        self.sent: list[httpx.Request] = []
        self._before, self._after = before, after
        self._real = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        if len(self.sent) in self._before:
            raise httpx.ConnectError("no route to host", request=request)
        response = self._real.handle_request(request)
        if len(self.sent) in self._after:
            response.close()
            raise httpx.ReadError("connection reset by peer", request=request)
        return response


# ---- scripted engines, in the process of the test --------------------------------------------------------------------


class ScriptedIngestEngine:
    """Lists and downloads what the test says, converts by copying, fails when told; `calls` is what it was asked.

    pages       address -> what is there, or the error instead
    catalogue   what `look` finds
    at_convert  called before each conversion, for what happens meanwhile
    """

    def __init__(
        self,
        *,
        pages: Mapping[str, bytes | Exception] | None = None,
        fails: Exception | None = None,
        catalogue: Catalogue | None = None,
        silences: tuple[Silence, ...] = (),
    ) -> None:
        self.pages = dict(pages or {})
        self.fails = fails
        self.silences = silences
        self.at_convert: Callable[[], object] = lambda: None
        self.catalogue = catalogue
        self.calls: list[str] = []

    def look(
        self, address: str, kind: str, folder: Path, job: Watch, *, etag: str = "", modified: str = ""
    ) -> Catalogue:
        self.calls.append(f"look {address}")
        assert self.catalogue is not None
        if etag and etag == self.catalogue.etag:
            return self.catalogue.model_copy(update={"unchanged": True, "items": ()})
        return self.catalogue

    def download(self, url: str, folder: Path, job: Watch) -> Downloaded:
        from services.ingest.metadata import Downloaded

        self.calls.append("download")
        original = folder / "download"
        original.write_bytes(self._page(url))
        about: dict[str, Any] = {"title": "A title from the site", "uploader": "Lamplight"}
        return Downloaded(original=original, metadata=about, yt_dlp="2026.10")

    def fetch(self, url: str, folder: Path, name: str, max_bytes: int, job: Watch) -> Path:
        self.calls.append(f"fetch {name}")
        path = folder / name
        path.write_bytes(self._page(url))
        return path

    def read_page(self, url: str, folder: Path, job: Watch) -> str:
        self.calls.append(f"read {url}")
        return self._page(url).decode()

    def _page(self, url: str) -> bytes:
        page = self.pages[url]
        if isinstance(page, Exception):
            raise page
        return page

    def convert(self, original: Path, folder: Path, job: Watch) -> Converted:
        from services.ingest.audio import Converted

        self.calls.append("convert")
        self.at_convert()
        if self.fails:
            raise self.fails
        return Converted(
            **_written(folder, original.read_bytes()),
            duration_s=12.5,
            media_type="audio/mpeg",
            metadata={"tags": {"title": "A title from the tags"}},
            silences=self.silences,
            ffmpeg="9.0",
        )

    def mix(self, tracks: Sequence[TrackFile], folder: Path, job: Watch) -> Mixed:
        from services.ingest.audio import ConvertedTrack, Mixed

        self.calls.append("mix")
        if self.fails:
            raise self.fails
        contents = [track.original.read_bytes() for track in tracks]
        alone = []
        for number, content in enumerate(contents, start=1):
            working = folder / f"track-{number}.flac"
            working.write_bytes(b"flac of " + content)
            alone.append(
                ConvertedTrack(working=working, duration_s=12.5, media_type="audio/wav", metadata={}, ffmpeg="9.0")
            )
        return Mixed(
            **_written(folder, b" and ".join(contents)),
            duration_s=12.5 + max(track.offset_s for track in tracks),
            media_type="audio/flac",
            metadata={},
            silences=self.silences,
            ffmpeg="9.0",
            tracks=tuple(alone),
        )


def _written(folder: Path, content: bytes) -> dict[str, Path]:
    """Copies of a file, each saying of what it is."""
    copies = {"working": ("working.flac", "flac"), "web": ("web.mp3", "mp3"), "peaks": ("peaks.dat", "peaks")}
    for name, kind in copies.values():
        (folder / name).write_bytes(kind.encode() + b" of " + content)
    return {field: folder / name for field, (name, _) in copies.items()}


HOST_VECTOR = (1.0, 0.0, 0.0)
GUEST_VECTOR = (0.6, 0.8, 0.0)
SPOKEN_LINES = (
    (0, "Welcome to the show, my guest is Lisa. How are you?"),
    (1, "Thank you for having me. I am well."),
    (0, "What do you do all day?"),
    (1, "I count the cups in the cupboard, and then I count them again."),
)


class ScriptedSpeechEngine:
    """An Engine that hears lines, each spoken by the voice given.

    fails               raised instead of hearing anything
    before_diarising    called before the voices are told apart
    """

    def __init__(
        self,
        lines: Sequence[tuple[int, str]] = SPOKEN_LINES,
        *,
        model: str = "voices 1",
        fails: Exception | None = None,
        before_diarising: Callable[[], None] = lambda: None,
    ) -> None:
        from services.transcription.hearing import Voice

        self.words, self.spans = _spoken(lines)
        self.centroids = (HOST_VECTOR, GUEST_VECTOR)
        self.voice = Voice(vector=HOST_VECTOR, speech_s=20.0, model=model)
        self.model = model
        self.models = {"asr": "scripted", "aligner": "scripted", "diariser": model}
        self.fails = fails
        self.before_diarising = before_diarising
        self.calls: list[str] = []
        self.hotwords: tuple[str, ...] = ()

    def setup(self, job: Watch) -> dict[str, str]:
        return self.models

    def transcribe(self, path: Path, language: str, job: Watch, hotwords: Sequence[str] = ()) -> Heard:
        from services.transcription.hearing import Heard

        self.calls.append("transcribe")
        self.hotwords = tuple(hotwords)
        if self.fails:
            raise self.fails
        assert path.read_bytes() == b"flac"
        return Heard(
            words=self.words,
            duration_s=self.words[-1].end_s,
            engines={"asr": "scripted", "aligner": "scripted"},
            language="en" if language == "auto" else language,
        )

    def transcribe_tracks(
        self, tracks: Sequence[SpeechTrack], language: str, job: Watch, hotwords: Sequence[str] = ()
    ) -> TracksHeard:
        """Each voice talks on the track of its number."""
        from services.transcription.hearing import TrackHeard, TracksHeard

        self.calls.append("transcribe_tracks")
        self.hotwords = tuple(hotwords)
        if self.fails:
            raise self.fails
        heard = []
        for number, track in enumerate(tracks):
            assert Path(track.path).exists()
            talk = tuple((span.start_s, span.end_s) for span in self.spans if span.voice == number)
            words = tuple(word for word in self.words if any(a <= word.start_s < b for a, b in talk))
            heard.append(TrackHeard(words=words, speech_s=sum(b - a for a, b in talk), talk=talk))
        return TracksHeard(
            tracks=tuple(heard),
            duration_s=self.words[-1].end_s,
            engines={"asr": "scripted", "aligner": "scripted"},
            language="en" if language == "auto" else language,
        )

    def diarise(self, path: Path, speakers: int, job: Watch) -> Voices:
        from services.transcription.hearing import Voices

        self.calls.append("diarise")
        self.before_diarising()
        return Voices(spans=self.spans, centroids=self.centroids, model=self.model)

    def embed(self, path: Path, spans: Sequence[tuple[float, float]], job: Watch) -> Voice:
        self.calls.append("embed")
        return self.voice

    def align(self, path: Path, pieces: Sequence[Piece], language: str, job: Watch) -> Aligned:
        """Evenly, from a tenth of a second after each piece's start on: unlike any guess of ours."""
        from services.transcription.alignment import timed_words
        from services.transcription.hearing import Aligned

        self.calls.append("align")
        found = []
        for piece in pieces:
            texts = piece.text.split()
            start_s = min(piece.start_s + 0.1, piece.end_s)
            found.append(tuple(timed_words(texts, [None] * len(texts), start_s, piece.end_s)))
        return Aligned(pieces=tuple(found), aligner="scripted")


class MeasuredSpeechEngine(ScriptedSpeechEngine):
    """One that can be evaluated; it decodes any file, and is told its DER."""

    def __init__(self, *args: Any, der: float = 0.125, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.der = der
        self.talk: tuple[Sequence[Talk], Sequence[Talk]] = ((), ())

    def decode(self, source: Path, target: Path, job: Watch) -> None:
        self.calls.append("decode")
        target.write_bytes(b"flac")

    def normalised(self, texts: Sequence[str], language: str, job: Watch) -> list[list[str]]:
        from services.transcription.scoring import plain_words

        return [plain_words(text) for text in texts]

    def diarisation_error(
        self, reference: Sequence[Talk], heard: Sequence[Talk], duration_s: float, job: Watch
    ) -> float:
        self.talk = (reference, heard)
        return self.der


def _spoken(lines: Sequence[tuple[int, str]], word_s: float = 0.5) -> tuple[tuple[Word, ...], tuple[Span, ...]]:
    """Words of `word_s` seconds each and the spans of their voices, one line after another."""
    from services.transcription.diarisation import Span
    from shared.schemas import Word

    words: list[Word] = []
    spans: list[Span] = []
    for voice, text in lines:
        start_s = len(words) * word_s
        for place, word in enumerate(text.split()):
            words.append(Word(text=word, start_s=start_s + place * word_s, end_s=start_s + (place + 1) * word_s))
        spans.append(Span(start_s, words[-1].end_s, voice))
    return tuple(words), tuple(spans)


class ScriptedTrainingEngine:
    """An Engine whose adapter weighs a byte per step. `breaks[step]` is raised after that checkpoint, once.

    losses    held-out loss by step, where it is not the usual one; `recited` likewise
    """

    def __init__(
        self,
        base: Base,
        breaks: dict[int, DiaryError] | None = None,
        *,
        losses: dict[int, float] | None = None,
        recited: dict[int, float] | None = None,
        device: Device | None = None,
    ) -> None:
        from services.trainer.plan import Device

        self._base = base
        self._losses, self._recited = losses or {}, recited or {}
        self._device = device or Device(kind="cpu", name="a CPU", memory_gb=16.0)
        self.tensorboard = base.folder / "tensorboard"
        self._breaks = dict(breaks or {})
        self.steps: list[int] = []
        self.plans: list[Plan] = []

    def base(self, job: Watch) -> Base:
        return self._base

    def device(self) -> Device:
        return self._device

    def train(self, plan: Plan, job: Watch, keep: KeepCheckpoint) -> Trained:
        from services.trainer.choice import best_point, is_stuck
        from services.trainer.plan import Trained
        from shared.schemas import MetricPoint

        self.plans.append(plan)
        points = list(plan.metrics) or [self._judged(MetricPoint(step=0, tokens=0))]
        weights = (plan.resume / "adapter_model.safetensors").read_bytes() if plan.resume else b""
        for step in range(points[-1].step + 1, plan.course.steps + 1):
            if is_stuck(points, plan.request.patience):
                break
            job.check()
            weights += b"w"
            self.steps.append(step)
            points.append(MetricPoint(step=step, tokens=step * 100, train_loss=3 - step / 10))
            if step % plan.course.checkpoint_every == 0 or step == plan.course.steps:
                points[-1] = self._judged(points[-1])
                keep(self._checkpoint(plan, step, weights), step, points)
                if error := self._breaks.pop(step, None):
                    raise error
        best = best_point(points, plan.request.memorisation_limit)
        assert best is not None
        here = plan.work / "run" / f"checkpoint-{best.step}"
        brought = [folder for folder in (plan.resume, plan.best) if folder and folder.name == here.name]
        kept = next(folder for folder in (here, *brought) if folder.is_dir())
        folder = plan.work / "adapter"
        folder.mkdir(exist_ok=True)
        (folder / "adapter_model.safetensors").write_bytes((kept / "adapter_model.safetensors").read_bytes())
        (folder / "adapter_config.json").write_text("{}")
        (folder / "loss.png").write_bytes(b"png")
        told = {"versions": {"torch": "0"}, "parameters": {"adapted_layers": 4}}
        return Trained(folder=folder, step=best.step, metrics=tuple(points), **told)

    def _judged(self, point: MetricPoint) -> MetricPoint:
        from shared.schemas import GuestLoss, Judged, SampleTurn

        loss = self._losses.get(point.step, 3 - point.step / 20)
        judged = Judged(
            guests=(GuestLoss(guest="Ann Ash", loss=loss, tokens=10),),
            recited=self._recited.get(point.step, 0.0),
            longest_recited_words=0,
            samples=(SampleTurn(role="guest", text=f"I have learnt {point.step} steps."),),
        )
        return point.model_copy(update={"eval_loss": loss, "judged": judged})

    def _checkpoint(self, plan: Plan, step: int, weights: bytes) -> Path:
        folder = plan.work / "run" / f"checkpoint-{step}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "adapter_model.safetensors").write_bytes(weights)
        (folder / "optimizer.pt").write_bytes(b"momentum" + weights)
        (folder / "training_args.bin").write_bytes(b"pickle")
        return folder


TINY_BASE: dict[str, Any] = {"folder": Path("base"), "name": "tests/tiny", "revision": "r" * 64, "context": 2048}


Line = str | BaseException | list[tuple[str, float]]


class ScriptedVllmEngine:
    """An Engine that says the next line of a script; an exception in it is raised, once. Then it makes up sentences.

    A line may be a list: candidates with their log-probabilities.

    asked, asides   what was asked of it: turns, and all else (plans, summaries), which no script holds
    before, after   called with the number of the request for a turn, from 0, around each
    expects         log-probability of the token at a place of a prompt, by an adapter
    """

    def __init__(self, renderer: Renderer, script: Sequence[Line] = ()) -> None:
        self.renderer = renderer
        self.script: list[Line] = list(script)
        self.asked: list[tuple[str | None, Ask]] = []
        self.asides: list[Ask] = []
        self.scored: list[tuple[str | None, tuple[int, ...]]] = []
        self.expects: Callable[[str | None, Sequence[int], int], float] = lambda adapter, prompt, at: -1.0
        self.stops = 0
        self.wanted_once = False
        self.before: Callable[[int], None] = lambda request: None
        self.after: Callable[[int], None] = lambda request: None

    def base(self, job: Watch) -> Base:
        from shared.models import Base

        return Base(**TINY_BASE)

    def say(self, adapter: AdapterFiles | None, ask: Ask, job: Watch) -> list[Candidate]:
        from services.inference.engine import Candidate

        job.check()
        if ask.n > 1 and ask.temperature == 0:
            raise EngineRefusedError(f"n must be 1 when using greedy sampling, got {ask.n}.")  # as vLLM does
        if ask.kind != "turn":
            self.asides.append(ask)
            text = _planned(ask) if ask.kind == "plan" else f"They spoke of {ask.seed:x} and of what came next."
            return [Candidate(text=text, tokens=len(text.split()), ended=True, logprob=-1.0)]
        request = len(self.asked)
        self.before(request)
        self.asked.append((adapter.name if adapter else None, ask))
        line = self.script.pop(0) if self.script else _made_up(ask)
        if isinstance(line, BaseException):
            raise line
        self.after(request)
        if isinstance(line, list):
            return [Candidate(text=text, tokens=len(text.split()), ended=True, logprob=odds) for text, odds in line]
        return [Candidate(text=line, tokens=len(line.split()), ended=True, logprob=-1.0) for _ in range(ask.n)]

    def score(self, adapter: AdapterFiles | None, prompt: Sequence[int], job: Watch) -> list[float]:
        job.check()
        self.scored.append((adapter.name if adapter else None, tuple(prompt)))
        return [self.expects(adapter.name if adapter else None, prompt, at) for at in range(1, len(prompt))]

    def make_way(self, job: Watch) -> None:
        self.stops += self.wanted_once
        self.wanted_once = False


class MortalVllmEngine(ScriptedVllmEngine):
    """An engine under which the worker is killed, in the request after so many of any kind."""

    def __init__(self, renderer: Renderer, requests: int) -> None:
        super().__init__(renderer)
        self._requests = requests

    def _live(self) -> None:
        self._requests -= 1
        if self._requests < 0:
            raise KeyboardInterrupt

    def say(self, adapter: AdapterFiles | None, ask: Ask, job: Watch) -> list[Candidate]:
        self._live()
        return super().say(adapter, ask, job)

    def score(self, adapter: AdapterFiles | None, prompt: Sequence[int], job: Watch) -> list[float]:
        self._live()
        return super().score(adapter, prompt, job)


def _made_up(ask: Ask) -> str:
    """Words that no other seed says, in the middle of what is allowed; thanks, so that it may be a goodbye."""
    count = max(5, int((ask.min_tokens + ask.max_tokens) / 2 / 1.3))
    return "Thanks " + " ".join(f"{ask.seed:x}w{n}" for n in range(count - 1)) + "."


class ScriptedVoiceEngine:
    """Voices that write down what they say: a sound is its words, half a second each, and an mp3 its sounds' words.

    said     texts in the order in which they were spoken
    joined   how often a file was made
    before   called with the number of a turn, from 0, before it is spoken
    """

    def __init__(self, voices: Sequence[str] = ("heart", "heart-low", "heart-warm")) -> None:
        self.voices = tuple(voices)
        self.recipe = "r1"
        self.said: list[str] = []
        self.joined = 0
        self.facts = ""
        self.before: Callable[[int], None] = lambda number: None

    def setup(self, job: Watch) -> Setup:
        from services.inference.speech_engine import Setup

        return Setup("scripted voices", self.recipe, self.voices, ("en",))

    def speak(self, pieces: Sequence[tuple[str, float]], voice: str, take: int, path: Path, job: Watch) -> float:
        job.check()
        self.before(len(self.said))
        text = " ".join(text for text, _ in pieces)
        self.said.append(text)
        if "(silence)" in text:
            return 0.0
        path.write_text(f"{voice}, take {take}: {text}\n")
        return len(text.split()) / 2

    def join(self, parts: Sequence[Part], duration_s: float, facts: Path, mp3: Path, job: Watch) -> None:
        self.joined += 1
        self.facts = facts.read_text()
        mp3.write_text("".join(f"{part.start_s:.1f} s {part.path.read_text()}" for part in parts))


def _planned(ask: Ask) -> str:
    """As many texts as the schema wants, none of which another request gets."""
    assert ask.schema is not None
    items = ask.schema["properties"]["items"]
    return json.dumps({"items": [f"{ask.seed:x}p{number} of it" for number in range(items["minItems"])]})


# ---- the world outside, for ingest -----------------------------------------------------------------------------------


class FakeYtDlp:
    """yt-dlp's errors; their own names stay, since by these and by what they carry we tell them apart."""

    class DownloadError(Exception):
        """Keeps its cause aside."""

        def __init__(self, message: str, cause: Exception | None = None) -> None:
            super().__init__(message)
            self.exc_info = (type(cause), cause, None)

    class HTTPError(Exception):
        def __init__(self, status: int) -> None:
            super().__init__(f"HTTP Error {status}")
            self.status = status

    class UnsupportedError(Exception):
        pass

    class TransportError(Exception):
        pass


class FakeSite(SimpleHTTPRequestHandler):
    """A folder over HTTP, and a few addresses that misbehave."""

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if path == "/moved":
            self._answer(302, {"Location": "/talk.wav"})
        elif path == "/to-file":
            self._answer(302, {"Location": "file:///etc/passwd"})
        elif path == "/busy":
            self._answer(503, {"Retry-After": "1"})
        elif path == "/endless":
            self._endless()
        else:
            super().do_GET()

    def _answer(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _endless(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "audio/mpeg")
        self.end_headers()
        try:
            while True:
                self.wfile.write(b"\xff\xfb" + bytes(65534))
        except OSError:
            return

    def log_message(self, *args: Any) -> None:
        pass


# ---- a model hub -----------------------------------------------------------------------------------------------------

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SMALL_TEXTS = (".json", ".jinja", ".md")  # kept in git; everything else in a store for large files, as the hub does


class FakeHub(ThreadingHTTPServer):
    """The part of the hub's API that a download uses. Large files lie at another host, as the real ones do.

    models        repository -> file name -> content, all at COMMIT
    sizes         what the hub claims of a file, where that is not its real size
    gated         repositories whose conditions must be accepted: only `token` lets in
    stall_after   bytes of a large file after which the server waits for `go`
    sent          paths that were asked for, with the Range and Authorization of each
    """

    daemon_threads = True

    def __init__(self, models: dict[str, dict[str, bytes]]) -> None:
        super().__init__(("127.0.0.1", 0), FakeHubDoor)
        self.models = models
        self.sizes: dict[str, int] = {}
        self.gated: set[str] = set()
        self.token = "hf_good"
        self.stall_after: int | None = None
        self.go = threading.Event()
        self.sent: list[tuple[str, str | None, str | None]] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def asked(self, part: str) -> list[str | None]:
        """Ranges of the requests for paths with `part` in them."""
        return [span for path, span, _ in self.sent if part in path]


class FakeHubDoor(BaseHTTPRequestHandler):
    server: FakeHub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.server.sent.append((f"{self.command} {path}", self.headers["Range"], self.headers["Authorization"]))
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "models"] and "/".join(parts[2:4]) in self.server.models:
            self._tell("/".join(parts[2:4]), parts[-1])
        elif parts[0] == "stored":
            self._send(self.server.models["/".join(parts[1:3])][parts[3]])
        elif parts[2:3] == ["resolve"] and parts[4] in self.server.models.get("/".join(parts[:2]), {}):
            self._resolve("/".join(parts[:2]), parts[4])
        else:
            self._refuse(401, "RepoNotFound")

    def _tell(self, repository: str, revision: str) -> None:
        if revision != COMMIT:
            return self._refuse(404, "RevisionNotFound")
        gated = "manual" if repository in self.server.gated else False
        files = self.server.models[repository]
        siblings = [self._sibling(name, data) for name, data in files.items()]
        card = {"license": "mit"}
        about = {"id": repository, "sha": COMMIT, "gated": gated, "cardData": card, "siblings": siblings}
        self._answer(200, {"Content-Type": "application/json"}, json.dumps(about).encode())

    def _sibling(self, name: str, data: bytes) -> dict[str, Any]:
        size, digest = self.server.sizes.get(name, len(data)), hashlib.sha256(data).hexdigest()
        large = {} if name.endswith(SMALL_TEXTS) else {"lfs": {"sha256": digest, "size": size, "pointerSize": 130}}
        return {"rfilename": name, "size": size, "blobId": digest[:40], **large}

    def _resolve(self, repository: str, name: str) -> None:
        if repository in self.server.gated and self.headers["Authorization"] != f"Bearer {self.server.token}":
            return self._refuse(403, "GatedRepo")
        data = self.server.models[repository][name]
        about = {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha256(data).hexdigest()}"'}
        if name.endswith(SMALL_TEXTS):
            return self._send(data, about)
        place = f"http://localhost:{self.server.server_port}/stored/{repository}/{name}"
        self._answer(302, {**about, "X-Linked-Size": str(len(data)), "Location": place}, b"")

    def _send(self, data: bytes, headers: dict[str, str] | None = None) -> None:
        start = int((self.headers["Range"] or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        status = 206 if start else 200
        span = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if start else {}
        self._answer(status, {**(headers or {}), **span}, data[start:])

    def _refuse(self, status: int, code: str) -> None:
        self._answer(status, {"X-Error-Code": code, "X-Error-Message": f"refused: {code}"}, b"{}")

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        with suppress(ConnectionError):  # who asked was killed
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "HEAD":
                return
            stall_after = self.server.stall_after
            if stall_after is not None and len(body) > stall_after and self.path.startswith("/stored"):
                self.wfile.write(body[:stall_after])
                self.wfile.flush()
                self.server.go.wait(60)
                body = body[stall_after:]
            self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


# ---- a Kubernetes cluster with one node ------------------------------------------------------------------------------

KUBERNETES_SHAPES = Path(__file__).parent / "fixtures" / "kubernetes"


def kubernetes_shape(name: str) -> Any:
    """What the Kubernetes API answers, as its documentation and its sources have it."""
    return json.loads((KUBERNETES_SHAPES / f"{name}.json").read_text())


class FakePod:
    """A pod of FakeCluster: a process on this machine, and the state that Kubernetes would show of it."""

    def __init__(self, job: dict[str, Any], number: int, folder: Path) -> None:
        meta, template = job["metadata"], job["spec"]["template"]
        self.name = f"{meta['name']}-{number:05d}"
        self.job_uid = meta["uid"]
        self.folder = folder / self.name
        self.statuses = kubernetes_shape("pod-statuses")
        self.lines: list[tuple[float, str]] = []
        self.process: subprocess.Popen[bytes] | None = None
        self.killed_as = ""
        self.gone = False
        labels = {
            **template["metadata"]["labels"],
            "batch.kubernetes.io/controller-uid": meta["uid"],
            "batch.kubernetes.io/job-name": meta["name"],
            "controller-uid": meta["uid"],
            "job-name": meta["name"],
        }
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": meta["name"], "uid": meta["uid"], "controller": True}
        self.body: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": self.name,
                "namespace": meta["namespace"],
                "uid": f"00000000-0000-4000-8000-{number:012d}",
                "creationTimestamp": _kubernetes_time(),
                "labels": labels,
                "annotations": template["metadata"].get("annotations", {}),
                "ownerReferences": [{**owner, "blockOwnerDeletion": True}],
                "finalizers": ["batch.kubernetes.io/job-tracking"],
            },
            "spec": template["spec"],
            "status": self.statuses["unschedulable"],
        }

    @property
    def container(self) -> dict[str, Any]:
        return self.body["spec"]["containers"][0]

    @property
    def disrupted(self) -> bool:
        return any(one["type"] == "DisruptionTarget" for one in self.body["status"].get("conditions", ()))

    @property
    def deleted(self) -> bool:
        return "deletionTimestamp" in self.body["metadata"]

    def run(self, environment: Mapping[str, str]) -> None:
        """Start the container's command, with files and variables of its own."""
        self.folder.mkdir(parents=True)
        own = {variable["name"]: variable["value"] for variable in self.container["env"]}
        places = {"TRAINER_WORK_DIR": "work", "TRAINER_LOG_DIR": "logs", "TRAINER_TERMINATION_LOG": "last-words"}
        paths = {name: str(self.folder / place) for name, place in places.items()}
        program, *arguments = self.container["command"]
        assert program == "python"
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            env={**os.environ, **paths, **environment, **own},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self.body["spec"] = {**self.body["spec"], "nodeName": "node-1"}
        self.body["status"] = self.statuses["running"]

    def wait(self) -> int:
        """Keep what it writes, each line with its time; its exit code as a shell would say it."""
        assert self.process is not None
        streams = (self.process.stdout, self.process.stderr)
        readers = [threading.Thread(target=self._keep, args=(stream,), daemon=True) for stream in streams]
        for reader in readers:
            reader.start()
        code = self.process.wait()
        for reader in readers:
            reader.join()
        return code if code >= 0 else 128 - code

    def _keep(self, stream: BinaryIO) -> None:
        for line in stream:
            self.lines.append((time.time(), line.decode(errors="replace").rstrip("\n")))

    def end(self, code: int) -> None:
        words = self.folder / "last-words"
        conditions = [one for one in self.body["status"]["conditions"] if one["type"] == "DisruptionTarget"]
        status = json.loads(json.dumps(self.statuses["ended"]))
        state = status["containerStatuses"][0]["state"]["terminated"]
        state |= {"exitCode": code, "reason": self.killed_as or ("Error" if code else "Completed")}
        if words.exists():
            state["message"] = words.read_text()[:4096]
        status["phase"] = "Failed" if code else "Succeeded"
        status["conditions"] += conditions
        self.body["status"] = status

    def disrupt(self) -> None:
        """What a drain does, and whoever else evicts pods."""
        self.body["status"]["conditions"].append(kubernetes_shape("disruption"))
        self.delete()

    def delete(self) -> None:
        self.body["metadata"]["deletionTimestamp"] = _kubernetes_time()

    def judged_by(self, rules: list[dict[str, Any]], code: int) -> str:
        """What a podFailurePolicy does about this pod: the action of the first rule that fits, else Count."""
        for rule in rules:
            if code in rule.get("onExitCodes", {}).get("values", ()) or ("onPodConditions" in rule and self.disrupted):
                return str(rule["action"])
        return "Count"

    def signal(self, number: int) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def log(self, query: Mapping[str, str]) -> str:
        since = time.time() - float(query.get("sinceSeconds", "1e12"))
        lines = [f"{_kubernetes_time(at)} {line}\n" for at, line in sorted(self.lines) if at >= since]
        return "".join(lines[-int(query.get("tailLines", "1000000")) :])


class FakeCluster(ThreadingHTTPServer):
    """The part of the Kubernetes API that training uses, and what lies behind it: each pod is a process here.

    environment   of all pods, besides their own variables
    shows         what pods show until `go` is set, by its name in pod-statuses.json; then they run
    refuse        "METHOD kind" -> status code of the answer, such as {"POST jobs": 403}
    queues        whether Kueue is there: a Job with a queue's name is suspended until `admit`, and again by `preempt`
    broken_logs   so many of the next answers with a log break off in the middle
    jobs, pods    what there is now; `made` and `deleted` are the names of all Jobs that were
    sent          what was asked, as "METHOD path"
    """

    daemon_threads = True
    namespace = "diary"
    token = "fake-service-account"

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        super().__init__(("127.0.0.1", 0), FakeClusterDoor)
        self.folder, self.environment = folder, dict(environment)
        self.shows = ""
        self.go = threading.Event()
        self.refuse: dict[str, int] = {}
        self.queues = False
        self.broken_logs = 0
        self.template: dict[str, Any] | None = kubernetes_shape("pod-template")
        self.jobs: dict[str, dict[str, Any]] = {}
        self.pods: dict[str, FakePod] = {}
        self.made: list[dict[str, Any]] = []
        self.deleted: list[str] = []
        self.sent: list[str] = []
        self._statuses = kubernetes_shape("job-statuses")
        self._guard = threading.RLock()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def kubeconfig(self) -> dict[str, Any]:
        """How to reach it, as kubectl and its like read it."""
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "fake",
            "clusters": [{"name": "fake", "cluster": {"server": self.url}}],
            "users": [{"name": "trainer", "user": {"token": self.token}}],
            "contexts": [
                {"name": "fake", "context": {"cluster": "fake", "user": "trainer", "namespace": self.namespace}}
            ],
        }

    def stop(self) -> None:
        self.shutdown()
        for pod in list(self.pods.values()):
            pod.delete()
            pod.signal(signal.SIGKILL)
        self.go.set()

    # ---- what happens to pods ----

    def running(self) -> FakePod:
        """The pod whose process runs now."""
        return next(pod for pod in self.pods.values() if pod.process is not None and pod.process.poll() is None)

    def kill_for_memory(self) -> None:
        pod = self.running()
        pod.killed_as = "OOMKilled"
        pod.signal(signal.SIGKILL)

    def evict(self, number: int = signal.SIGTERM) -> None:
        """Take the pod away: asked to end, as a drain does, or at once, as a node that is lost."""
        pod = self.running()
        pod.disrupt()
        pod.signal(number)

    def admit(self) -> None:
        """The queue has room for the one Job: Kueue lets it run, once no pod of it is left."""
        with self._guard:
            [job] = self.jobs.values()
            self._suspend(job, False)
            if not [pod for pod in self.pods.values() if not pod.gone]:
                self._add_pod(job)

    def preempt(self, number: int = signal.SIGTERM) -> None:
        """Suspend the one Job: its pod is deleted, and shows no disruption. SIGKILL: it was too slow to go. A pod whose
        image is still on its way never runs."""
        with self._guard:
            [job] = self.jobs.values()
            self._suspend(job, True)
            [pod] = [pod for pod in self.pods.values() if not pod.gone]
            pod.delete()
            pod.signal(number)

    # ---- the API ----

    def create_job(self, body: dict[str, Any]) -> dict[str, Any]:
        with self._guard:
            number = len(self.made) + 1
            meta = {
                **body["metadata"],
                "namespace": self.namespace,
                "uid": f"00000000-0000-4000-9000-{number:012d}",
                "generation": 1,
                "resourceVersion": str(1000 + number),
                "creationTimestamp": _kubernetes_time(),
            }
            waits = self.queues and "kueue.x-k8s.io/queue-name" in meta["labels"]
            status = self._statuses["suspended" if waits else "active"]
            job = {**body, "metadata": meta, "spec": {**body["spec"], "suspend": waits}, "status": status}
            self.made.append(body)
            self.jobs[meta["name"]] = job
            if not waits:
                self._add_pod(job)
            return job

    def delete_job(self, name: str) -> None:
        with self._guard:
            job = self.jobs.pop(name)
            self.deleted.append(name)
            for pod in [pod for pod in self.pods.values() if pod.job_uid == job["metadata"]["uid"]]:
                pod.signal(signal.SIGTERM)

    # ---- the Job controller and the node ----

    def _suspend(self, job: dict[str, Any], suspend: bool) -> None:
        failed = job["status"].get("failed", 0)  # what has failed stays so
        job["spec"]["suspend"] = suspend
        job["status"] = {**self._statuses["suspended" if suspend else "active"], "failed": failed}

    def _add_pod(self, job: dict[str, Any]) -> None:
        pod = FakePod(job, len(self.pods) + 1, self.folder)
        self.pods[pod.name] = pod
        threading.Thread(target=self._live, args=(job, pod), daemon=True).start()

    def _live(self, job: dict[str, Any], pod: FakePod) -> None:
        if self.shows:
            pod.body["status"] = pod.statuses[self.shows]
            self.go.wait(60)
        if pod.deleted:
            pod.killed_as = "ContainerStatusUnknown"
            code = 128 + signal.SIGKILL
        else:
            pod.run(self.environment)
            code = pod.wait()
        with self._guard:
            pod.end(code)
            pod.gone = pod.deleted
            if self.jobs.get(job["metadata"]["name"]) is job:
                self._settle(job, pod, code)

    def _settle(self, job: dict[str, Any], pod: FakePod, code: int) -> None:
        """A suspended Job is judged by its pods like any other; it only gets no new one."""
        action = pod.judged_by(job["spec"]["podFailurePolicy"]["rules"], code)
        failed = job["status"].get("failed", 0)
        if code == 0:
            job["status"] = self._statuses["complete"]
        elif action == "FailJob":
            job["status"] = self._statuses["failed by policy"]
        elif action == "Count" and failed >= job["spec"]["backoffLimit"]:
            job["status"] = self._statuses["failed too often"]
        else:
            job["status"] = {**job["status"], "failed": failed + (action == "Count")}
            if not job["spec"]["suspend"]:
                self._add_pod(job)


class FakeClusterDoor(BaseHTTPRequestHandler):
    server: FakeCluster
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer_to("GET")

    def do_POST(self) -> None:
        self._answer_to("POST")

    def do_DELETE(self) -> None:
        self._answer_to("DELETE")

    def _answer_to(self, method: str) -> None:
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query))
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"] or 0)) or b"{}")
        self.server.sent.append(f"{method} {url.path}")
        kind, *names = url.path.partition(f"/namespaces/{self.server.namespace}/")[2].split("/")
        name = names[0] if names else ""
        what = "/".join([kind, *names[1:]])
        if self.headers["Authorization"] != f"Bearer {self.server.token}":
            return self._refuse(401)
        if code := self.server.refuse.get(f"{method} {what}"):
            return self._refuse(code)
        if (method, what) == ("GET", "podtemplates"):
            found = self.server.template
            return self._send(200, found) if found and found["metadata"]["name"] == name else self._refuse(404)
        if (method, what) == ("POST", "jobs"):
            known = body["metadata"]["name"] in self.server.jobs
            return self._refuse(409) if known else self._send(201, self.server.create_job(body))
        if what == "jobs" and name not in self.server.jobs:
            return self._refuse(404)
        if (method, what) == ("GET", "jobs"):
            return self._send(200, self.server.jobs[name])
        if (method, what) == ("DELETE", "jobs"):
            assert query["propagationPolicy"] == "Background"
            self.server.delete_job(name)
            return self._send(200, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"})
        if (method, what) == ("GET", "pods"):
            return self._send_pods(query["labelSelector"])
        if (method, what) == ("GET", "pods/log"):
            return self._send_log(name, query)
        raise AssertionError(f"nobody should ask for {method} {self.path}")

    def _send_pods(self, selector: str) -> None:
        label, _, value = selector.partition("=")
        there = [pod.body for pod in self.server.pods.values() if not pod.gone]
        pods = [body for body in there if body["metadata"]["labels"].get(label) == value]
        listed = {"apiVersion": "v1", "kind": "PodList", "metadata": {"resourceVersion": "2000"}, "items": pods}
        self._send(200, listed)

    def _send_log(self, name: str, query: dict[str, str]) -> None:
        pod = self.server.pods.get(name)
        if pod is None or pod.gone:
            return self._refuse(404)
        if pod.process is None:
            return self._refuse(400)
        assert query["container"] == pod.container["name"]
        text = pod.log(query).encode()
        broken = self.server.broken_logs > 0 and len(text) > 1
        self.server.broken_logs -= broken
        with suppress(ConnectionError):
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text[: len(text) // 2] if broken else text)
        self.close_connection = broken

    def _refuse(self, code: int) -> None:
        self._send(code, kubernetes_shape("refusals")[str(code)])

    def _send(self, code: int, answer: Any) -> None:
        body = json.dumps(answer).encode()
        with suppress(ConnectionError):  # who asked was killed
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


def _kubernetes_time(at: float | None = None) -> str:
    """Whole seconds for objects, nanoseconds for a time of a log."""
    if at is None:
        return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S}.{int(at % 1 * 1e9):09d}Z"


# ---- far sides of a whole stack: `python -m tests.fakes ingest|transcription|trainer` --------------------------------
#
# They speak the pipe protocol of the real ones and take FAKE_STEP_S seconds per piece of work, so that a test can kill
# whatever it wants in the middle.

SCRIPTED_TALK = (
    (0, "Welcome to the show. Who are you?"),
    (1, "I am a keeper of small bridges."),
    (0, "How many bridges do you keep?"),
    (1, "Eleven, and one that nobody has found yet."),
    (0, "Why do you keep it secret?"),
    (1, "Because it is the only quiet one."),
)


def _work(reporter: Reporter, stage: str, pieces: int) -> None:
    for piece in range(1, pieces + 1):
        time.sleep(float(os.environ.get("FAKE_STEP_S", "0")))
        reporter.progress(stage, piece, pieces, "pieces")


def scripted_convert(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Any file is 60 s of audio; the working copy is the file itself. The waveform says the same."""
    from services.ingest.peaks import Peaks
    from shared.working_copy import RATE_HZ

    _work(reporter, "converting", 2)
    folder = Path(arguments["folder"])
    working, web, peaks = folder / "working.flac", folder / "web.mp3", folder / "peaks.dat"
    for copy in (working, web):
        shutil.copyfile(arguments["original"], copy)
    drawn = Peaks()
    drawn.add(bytes(2 * 60 * RATE_HZ))
    peaks.write_bytes(drawn.dat())
    copies = {"working": str(working), "web": str(web), "peaks": str(peaks)}
    return {**copies, "duration_s": 60.0, "media_type": "audio/mpeg", "metadata": {}, "ffmpeg": "scripted"}


def scripted_mix(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Any track is 60 s of audio and its own working copy; together they are the first."""
    originals = [Path(track["original"]) for track in arguments["tracks"]]
    mixed = scripted_convert({**arguments, "original": originals[0]}, reporter)
    alone = {"duration_s": 60.0, "media_type": "audio/mpeg", "metadata": {}, "ffmpeg": "scripted"}
    tracks = [{"working": str(original), **alone} for original in originals]
    return {**mixed, "media_type": "audio/flac", "tracks": tracks}


def scripted_setup(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    return {"asr": "scripted", "aligner": "scripted", "diariser": "scripted"}


def scripted_transcribe(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """The scripted talk, ten seconds a turn; the recording's digest is said too, so that no two are alike: they never
    have five words in a row in common, which would be a repeated span."""
    _work(reporter, "recognising speech", 3)
    tag = hashlib.sha256(Path(arguments["path"]).read_bytes()).hexdigest()[:6]
    words = []
    for turn, (_, text) in enumerate(SCRIPTED_TALK):
        said = text.split()
        for number, word in enumerate([*said[:3], tag, *said[3:6], tag, *said[6:], tag]):
            start_s = 10.0 * turn + 0.5 * number
            words.append({"text": word, "start_s": start_s, "end_s": start_s + 0.4, "score": 0.9})
    engines = {"asr": "scripted", "aligner": "scripted"}
    language = "en" if arguments["language"] == "auto" else arguments["language"]
    return {"words": words, "duration_s": 60.0, "engines": engines, "warnings": [], "language": language}


def scripted_align(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Words evenly over their piece, which begins a tenth of a second late."""
    from services.transcription.alignment import timed_words

    _work(reporter, "timing words", 1)
    pieces = []
    for piece in arguments["pieces"]:
        texts = piece["text"].split()
        words = timed_words(texts, [None] * len(texts), min(piece["start_s"] + 0.1, piece["end_s"]), piece["end_s"])
        pieces.append([word.model_dump() for word in words])
    return {"pieces": pieces, "aligner": "scripted"}


def scripted_transcribe_tracks(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """The scripted talk, whose first voice has the first track, and so on."""
    tracks = arguments["tracks"]
    heard = scripted_transcribe({**arguments, "path": tracks[0]["path"]}, reporter)
    found = []
    for number in range(len(tracks)):
        talk = [(10.0 * turn, 10.0 * turn + 9.5) for turn, (voice, _) in enumerate(SCRIPTED_TALK) if voice == number]
        words = [word for word in heard["words"] if any(a <= word["start_s"] < b for a, b in talk)]
        found.append({"words": words, "speech_s": 9.5 * len(talk), "talk": talk})
    return {"tracks": found, **{name: value for name, value in heard.items() if name != "words"}}


def scripted_diarise(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    _work(reporter, "finding voices", 2)
    spans = [
        {"start_s": 10.0 * turn, "end_s": 10.0 * turn + 9.5, "voice": voice}
        for turn, (voice, _) in enumerate(SCRIPTED_TALK)
    ]
    return {"spans": spans, "centroids": [[1.0, 0.0], [0.0, 1.0]], "model": "scripted"}


def scripted_embed(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """The voice that talks in the first of the spans."""
    _work(reporter, "learning the voice", 1)
    voice, _ = SCRIPTED_TALK[int(arguments["spans"][0][0] // 10) % len(SCRIPTED_TALK)]
    return {"vector": [0.0, 1.0] if voice else [1.0, 0.0], "speech_s": 28.5, "model": "scripted"}


def scripted_train(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Loses 0.1 a step; checkpoints carry the step they were made at, and a run goes on from the one it is given."""
    plan = arguments["plan"]
    request, course, work = plan["request"], plan["course"], Path(plan["work"])
    points = list(plan["metrics"]) or [_point(0)]
    reporter.progress("loading the base model")
    folder = Path(plan["resume"]) if plan["resume"] else None
    for step in range(points[-1]["step"] + 1, course["steps"] + 1):
        _work(reporter, f"training step {step}", 1)
        points.append(_point(step))
        if step % course["checkpoint_every"] == 0 or step == course["steps"] or (work / "save-now").exists():
            (work / "save-now").unlink(missing_ok=True)
            folder = _checkpoint(work / f"checkpoint-{step}", request, step)
            reporter.event(checkpoint=str(folder), step=step, last=step == course["steps"], metrics=points)
    assert folder is not None
    (folder / "loss.png").write_bytes(b"\x89PNG\r\n\x1a\n scripted")
    (folder / "seen.json").write_text(json.dumps(points[-1]))
    told = {"versions": {"torch": "scripted"}, "parameters": {}}
    return {"folder": str(folder), "step": points[-1]["step"], "metrics": points, **told}


def scripted_voices(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    return {"model": "scripted voices", "recipe": "r1", "voices": ["heart", "heart-low"], "languages": ["en"]}


def scripted_speak(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    words = " ".join(text for text, _ in arguments["pieces"])
    Path(arguments["path"]).write_text(f"{arguments['voice']}: {words}\n")
    return {"duration_s": len(words.split()) / 2}


def scripted_join(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    _work(reporter, "joining", len(arguments["parts"]))
    Path(arguments["mp3"]).write_text("".join(Path(part["path"]).read_text() for part in arguments["parts"]))
    return {}


def _point(step: int) -> dict[str, Any]:
    return {
        "step": step,
        "tokens": 100 * step,
        "train_loss": 3.0 - 0.1 * step,
        "eval_loss": 3.0 - 0.1 * step,
        "seconds": 0,
    }


def _checkpoint(folder: Path, request: dict[str, Any], step: int) -> Path:
    """A LoRA folder that a server accepts: right rank, all target modules, safetensors."""
    import numpy as np
    from safetensors.numpy import save_file

    from services.trainer.plan import TARGET_MODULES

    folder.mkdir(parents=True, exist_ok=True)
    rank, tensors = request["lora_rank"], {}
    for module in TARGET_MODULES:
        name = f"base_model.model.model.layers.0.self_attn.{module}"
        tensors[f"{name}.lora_A.weight"] = np.full((rank, 4), step, dtype=np.float32)
        tensors[f"{name}.lora_B.weight"] = np.full((4, rank), step, dtype=np.float32)
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": rank, "target_modules": list(TARGET_MODULES), "lora_alpha": 32}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


# ---- far sides of one test: `python -m tests.fakes toy`, `python -m tests.fakes counting` ----------------------------


def toy_count(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    for number in range(1, arguments["to"] + 1):
        reporter.event(number=number)
        reporter.progress("counting", number, arguments["to"], "numbers")
    return {"counted": arguments["to"]}


def toy_chatter(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    print("download bar 100 %", flush=True)
    subprocess.run([sys.executable, "-c", "print('and a child of the library')"], check=True)
    return {"fine": True}


def toy_refuse(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    raise BadInputError("choose a number above 0")


def toy_die(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    os._exit(9)


def toy_stumble(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    return {"never": 1 / 0}


def toy_hang_with_grandchild(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    reporter.event(grandchild=grandchild.pid)
    time.sleep(600)
    return {}


def toy_trace(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    return {"trace_id": os.environ["DIARY_TRACE_ID"]}


COUNTING_STEP_S = 0.3


def counting_train(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    from services.trainer.plan import Plan, Trained
    from shared.schemas import MetricPoint

    plan = Plan.model_validate(arguments["plan"])
    points = list(plan.metrics) or [MetricPoint(step=0, tokens=0, eval_loss=3.0)]
    for step in range(points[-1].step + 1, plan.course.steps + 1):
        time.sleep(COUNTING_STEP_S)
        points.append(MetricPoint(step=step, tokens=step, train_loss=2.0, eval_loss=2.0))
        reporter.progress("training", step, plan.course.steps, "steps")
        if step % plan.course.checkpoint_every == 0 or step == plan.course.steps or plan.save_now.exists():
            plan.save_now.unlink(missing_ok=True)
            folder = plan.work / "run" / f"checkpoint-{step}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "state.json").write_text(json.dumps(step))
            metrics = [point.model_dump() for point in points]
            reporter.event(checkpoint=str(folder), step=step, last=step == plan.course.steps, metrics=metrics)
    parameters = {"cpu_last_layers": arguments["cpu_last_layers"], "device": arguments["device"]}
    trained = Trained(folder=plan.work, step=points[-1].step, metrics=tuple(points), versions={}, parameters=parameters)
    return trained.model_dump(mode="json")


# ---- a vLLM server: `python -m tests.fakes vllm --port N --model DIR` ------------------------------------------------
#
# It says random words that follow from model, seed and prompt, and log-probabilities that differ for each loaded LoRA.
# Variables that make it behave badly:
#
#     FAKE_VLLM_READY_S         seconds until /health answers 200
#     FAKE_VLLM_TURN_S          seconds that each turn takes
#     FAKE_VLLM_LORA_IS_BASE    when set, a loaded adapter speaks with the voice of the base model
#     FAKE_VLLM_ANY_NAME        when set, names that were never loaded are answered with the base model
#     FAKE_VLLM_SAYS            when set, what every turn says
#     FAKE_VLLM_DIES_AT         the turn (counted from 1) during which the process exits, as a CUDA fault would end it

VLLM_VOCABULARY = """
river lamp copper garden winter bread thunder violin harbour orchard kettle pigeon lantern marble saddle
cinnamon ladder blanket compass pepper ribbon velvet anchor basket candle desert engine feather glacier hammer
island jacket kitten lemon mirror needle ocean pencil quarry rocket silver timber umbrella valley whistle
yellow zebra apron bottle carpet dragon elbow falcon guitar helmet insect jungle kernel lizard magnet nutmeg
oyster pillow quiver rabbit sailor tunnel uncle vessel walnut acorn bridge cabin donkey empire forest gravel
hollow
"""
VLLM_TOKENS_PER_WORD = 1.3


class FakeVllm(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, host: str, port: int) -> None:
        super().__init__((host, port), FakeVllmDoor)
        self.started = time.monotonic()
        self.loaded: dict[str, Path] = {}
        self.turns = 0


class FakeVllmDoor(BaseHTTPRequestHandler):
    """The few routes that the inference service may use; everything else is 404."""

    server: FakeVllm
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/health":
            ready = time.monotonic() - self.server.started >= float(os.environ.get("FAKE_VLLM_READY_S", "0"))
            self._answer(200 if ready else 503, {})
        elif self.path == "/v1/models":
            served = {"base": "/models/base"} | {name: str(folder) for name, folder in self.server.loaded.items()}
            self._answer(200, {"data": [{"id": name, "root": root} for name, root in served.items()]})
        else:
            self._answer(404, {"error": self.path})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/v1/load_lora_adapter":
            self._answer(*self._load(body["lora_name"], Path(body["lora_path"])))
        elif self.path == "/v1/completions":
            self._answer(*self._complete(body))
        else:
            self._answer(404, {"error": self.path})

    def _load(self, name: str, folder: Path) -> tuple[int, dict[str, Any]]:
        if name in self.server.loaded:
            return 400, {"error": f"The lora adapter '{name}' has already been loaded."}
        if not (folder / "adapter_config.json").is_file():
            return 404, {"error": f"no adapter in {folder}"}
        self.server.loaded[name] = folder
        return 200, {}

    def _complete(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        model, prompt = body["model"], body["prompt"]
        if model not in ("base", *self.server.loaded) and not os.environ.get("FAKE_VLLM_ANY_NAME"):
            return 404, {"error": f"The model `{model}` does not exist."}
        if body.get("n", 1) > 1 and not body.get("temperature"):
            return 400, {"error": f"n must be 1 when using greedy sampling, got {body['n']}."}
        voice = "base" if os.environ.get("FAKE_VLLM_LORA_IS_BASE") else model
        if body["max_tokens"] > 1:
            self._take_time()
        prompts = prompt if isinstance(prompt[0], list) else [prompt]
        choices = [
            {"index": index} | _vllm_choice(random.Random(f"{voice}/{body.get('seed')}/{n}/{one}"), body)
            for index, (one, n) in enumerate((one, n) for one in prompts for n in range(body.get("n", 1)))
        ]
        if "structured_outputs" in body:
            items = body["structured_outputs"]["json"]["properties"]["items"]["minItems"]
            texts = [f"part {body['seed'] % 9973} {number}" for number in range(items)]
            choices[0]["text"] = json.dumps({"items": texts})
        if "prompt_logprobs" in body:
            dice = random.Random(voice)
            scored = [{str(token): {"logprob": -dice.random()}} for token in prompt]
            choices[0]["prompt_logprobs"] = [None, *scored[1:]]
        return 200, {"choices": choices}

    def _take_time(self) -> None:
        self.server.turns += 1
        time.sleep(float(os.environ.get("FAKE_VLLM_TURN_S", "0")))
        if str(self.server.turns) == os.environ.get("FAKE_VLLM_DIES_AT"):
            print(os.environ.get("FAKE_VLLM_LAST_WORDS", ""), file=sys.stderr, flush=True)
            os._exit(1)
        if str(self.server.turns) == os.environ.get("FAKE_VLLM_HANGS_AT") and not _is_second_run():
            time.sleep(3600)

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        with suppress(ConnectionError):  # who asked has left
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        print(self.headers.get("X-Request-Id", "-"), format % args, file=sys.stderr, flush=True)


def _is_second_run() -> bool:
    """Whether an earlier process of this engine has been here, by a file that it left."""
    try:
        Path(os.environ["FAKE_VLLM_HUNG"]).touch(exist_ok=False)
    except FileExistsError:
        return True
    return False


def _vllm_choice(dice: random.Random, body: dict[str, Any]) -> dict[str, Any]:
    least, most = (int(body.get(name, 0) / VLLM_TOKENS_PER_WORD) for name in ("min_tokens", "max_tokens"))
    count = max(4, least + 1, min(most, dice.randint(12, 24)))
    text = os.environ.get(
        "FAKE_VLLM_SAYS", "Thanks, " + " ".join(dice.sample(VLLM_VOCABULARY.split(), count - 1)) + "."
    )
    logprobs = [-dice.random() for _ in text.split()]
    return {"text": text, "finish_reason": "stop", "logprobs": {"token_logprobs": logprobs}}


def serve_vllm(arguments: Sequence[str]) -> None:
    flags = argparse.ArgumentParser("tests.fakes vllm")
    flags.add_argument("--host", default="127.0.0.1")
    flags.add_argument("--port", type=int, required=True)
    known, ignored = flags.parse_known_args(arguments)
    print("fake vllm ignores:", *ignored, file=sys.stderr, flush=True)
    FakeVllm(known.host, known.port).serve_forever()


# ---- YouTube, and a liar among name servers --------------------------------------------------------------------------

RECORDED_INFO = Path(__file__).parent / "ingest" / "info"


def serve_recorded(site: str) -> None:
    """The real ingest engine in a world of our own: YouTube answers what was recorded, and DNS changes its mind.

    site   stands for {site} in the recorded info dictionaries: where their sound lies
    """
    from yt_dlp import YoutubeDL
    from yt_dlp.extractor.common import InfoExtractor
    from yt_dlp.extractor.generic import GenericIE
    from yt_dlp.utils import ExtractorError

    from services.ingest import engine
    from shared.engines import serve

    class YoutubeIE(InfoExtractor):  # type: ignore[misc]
        _VALID_URL = r"https?://(?:www\.)?youtube\.com/.*?(?P<id>[\w-]+)$"

        def _real_extract(self, url: str) -> Any:
            file = RECORDED_INFO / f"{self._match_id(url)}.json"
            recorded = json.loads(file.read_text().replace("{site}", site))
            if "error" in recorded:
                raise ExtractorError(recorded["error"], expected=True, video_id=recorded["id"], ie="youtube")
            return recorded

    def add_recorded(self: Any) -> None:
        for extractor in (YoutubeIE, GenericIE):
            self.add_info_extractor(extractor())

    YoutubeDL.add_default_info_extractors = add_recorded
    lookup, asked = socket.getaddrinfo, []

    def shifty(host: Any, *more: Any, **named: Any) -> Any:
        if host == "shifty.example":
            asked.append(host)
            host = "127.0.0.2" if len(asked) == 1 else "127.0.0.1"
        return lookup(host, *more, **named)

    socket.getaddrinfo = shifty
    serve(engine.OPERATIONS)


# ---- as a program ----------------------------------------------------------------------------------------------------

FAR_SIDES = {
    "ingest": {"convert": scripted_convert, "mix": scripted_mix},
    "transcription": {
        "setup": scripted_setup,
        "transcribe": scripted_transcribe,
        "transcribe_tracks": scripted_transcribe_tracks,
        "diarise": scripted_diarise,
        "embed": scripted_embed,
        "align": scripted_align,
    },
    "trainer": {"train": scripted_train},
    "voices": {"setup": scripted_voices, "speak": scripted_speak, "join": scripted_join},
    "toy": {
        "count": toy_count,
        "chatter": toy_chatter,
        "refuse": toy_refuse,
        "die": toy_die,
        "stumble": toy_stumble,
        "hang_with_grandchild": toy_hang_with_grandchild,
        "trace": toy_trace,
    },
    "counting": {"train": counting_train},
}


def main(name: str, *arguments: str) -> None:
    if name == "vllm":
        serve_vllm(arguments)
    elif name == "recorded":
        serve_recorded(*arguments)
    else:
        from shared.engines import serve

        serve(FAR_SIDES[name])


if __name__ == "__main__":
    main(*sys.argv[1:])
