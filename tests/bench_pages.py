"""How long studio takes to make each page of a large show. `make bench-pages`: minutes.

    python -m tests.bench_pages [--recordings 500] [--words 25000]

A real S3 server holds a show of 500 transcribed recordings (200 turns of 12 words with word times, four of them
doubtful), a dataset, a run and an AI episode of 25,000 words; studio is a process of its own. Each page is asked for
once, and then seven times; the aim, 200 ms, is for the median of those. What the first visit took is told too:
transcripts that nobody has looked at yet are read aside, and the page says how many are left.
Ends with 1 where a page misses the aim.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import httpx

from services.studio.machine.local import ROOT, Stack
from shared import keys
from shared.conversation import Spoken
from shared.report import measure
from shared.schemas import (
    Blob,
    Episode,
    EpisodeRequest,
    EpisodeTurn,
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
from shared.store import S3Store, create_manifest, made_from
from shared.tokens import TokenBook, new_token
from tests.conftest import free_port_base, s3_store
from tests.kit import healthy, until
from tests.studio.a_dataset import points, put_dataset, put_run

AIM_MS, VISITS = 200.0, 7
SHOW, EPISODE = "lamp", "e0000000001"
TURNS, WORDS_A_TURN, DOUBTFUL = 200, 12, 4
SPOKEN = ["so", "tell", "me", "how", "the", "lamp", "came", "to", "the", "hill", "and", "what"]


class Page(NamedTuple):
    path: str
    first_ms: float
    median_ms: float
    kilobytes: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recordings", type=int, default=500)
    parser.add_argument("--words", type=int, default=25_000)
    wanted = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        served(Path(folder), wanted.recordings, wanted.words) as (url, secret),
    ):
        pages = visit_all(url, secret)
    print(table(pages))
    missed = [page.path for page in pages if page.median_ms > AIM_MS]
    print(f"missed the aim of {AIM_MS:.0f} ms: {', '.join(missed)}" if missed else "every aim was reached")
    return 1 if missed else 0


# ---- the show --------------------------------------------------------------------------------------------------------


def fill(store: S3Store, recordings: int, words: int) -> None:
    store.ensure_bucket()
    create_manifest(store, keys.show(SHOW), Show(slug=SHOW, title="The Lamplight Hour", host="Mara Quill"))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: put_recording(store, number), range(recordings)))
    put_dataset(store)
    put_run(store, 1, points(3.0, None, 2.8, None, 2.6), kept=4)
    put_episode(store, words)


def put_recording(store: S3Store, number: int) -> None:
    name = f"r{number:04}"
    blob = Blob(key=keys.blob(f"{number:064x}"), sha256=f"{number:064x}", bytes=1)
    recording = Recording(
        id=name, show=SHOW, title=f"Guest {number} on lamps", guest=f"Guest {number}", source=f"upload:{name}",
        original=blob, working=blob, web=blob, peaks=blob, duration_s=TURNS * 4.0, lineage=lineage(),
    )  # fmt: skip
    create_manifest(store, keys.recording(SHOW, name), recording)
    speakers = tuple(
        Speaker(label=label, role=role, speech_s=TURNS * 2.0) for label, role in (("S1", Role.HOST), ("S2", Role.GUEST))
    )
    transcript = Transcript(
        id="rev1", recording=name, show=SHOW, kind="machine", guest=recording.guest, duration_s=TURNS * 4.0,
        speakers=speakers, host_method=HostMethod.VOICEPRINT, turns=tuple(turn(place) for place in range(TURNS)),
        lineage=lineage(),
    )  # fmt: skip
    create_manifest(store, keys.transcript(SHOW, name, "rev1"), transcript)
    store.create(keys.transcript_head(SHOW, name), b"rev1")


def turn(place: int) -> Turn:
    start_s = place * 4.0
    words = tuple(
        Word(text=text, start_s=start_s + 0.3 * at, end_s=start_s + 0.3 * at + 0.25, score=0.9)
        for at, text in enumerate(SPOKEN)
    )
    doubtful = place % (TURNS // DOUBTFUL) == 1
    return Turn(
        id=f"w{place * WORDS_A_TURN}", speaker="S2" if place % 2 else "S1", role=Role.GUEST if place % 2 else Role.HOST,
        start_s=start_s, end_s=start_s + 3.8, text=" ".join(SPOKEN), words=words, needs_review=doubtful,
        review_reasons=("two voices at once",) if doubtful else (), doubt=0.6 if doubtful else 0.0,
    )  # fmt: skip


def put_episode(store: S3Store, words: int) -> None:
    each = 70
    turns = tuple(
        EpisodeTurn(
            index=index, role="guest" if index % 2 else "host", speaker="Orla" if index % 2 else "Mara Quill",
            text=" ".join(f"{SPOKEN[at % len(SPOKEN)]}{(index * 7 + at * 3) % 991}" for at in range(each)) + ".",
            tokens=each, chapter=f"Chapter {index // 40 + 1}",
        )
        for index in range(words // each // 2 * 2)
    )  # fmt: skip
    report = measure([Spoken(one.role, one.text) for one in turns], target_words=words)
    episode = Episode(
        id=EPISODE, show=SHOW, guest="Orla", host="Mara Quill",
        brief=EpisodeRequest(show=SHOW, guest="Orla", words=words),
        adapter="lamp.r1.c4", fine_tuned=True, label="fine-tuned", canary=True, base_model="tests/tiny",
        base_revision="r" * 40, turns=turns, report=report,
        lineage=lineage().model_copy(update={"made_from": made_from(store, keys.adapter(SHOW, "lamp.r1.c4"))}),
    )  # fmt: skip
    create_manifest(store, keys.episode(SHOW, EPISODE), episode)


def lineage() -> Lineage:
    return Lineage(by="bench", version="0", job="j", actor="bench")


# ---- studio ----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def served(folder: Path, recordings: int, words: int) -> Iterator[tuple[str, str]]:
    """Studio's URL and a token of it, while the show is there."""
    stack = Stack(folder, free_port_base(), python_of=lambda name: Path(sys.executable))
    program = stack.program("s3")
    program.start(ROOT)
    try:
        stack.wait_healthy("s3")
        print(f"filling the store with {recordings} recordings", flush=True)
        fill(s3_store(stack, "diary"), recordings, words)
        secret, token = new_token("ann", "admin")
        TokenBook(folder / "tokens.json").add(token)
        with studio(stack, folder) as url:
            yield url, secret
    finally:
        program.stop()


@contextlib.contextmanager
def studio(stack: Stack, folder: Path) -> Iterator[str]:
    own = {
        "STUDIO_PORT": str(stack.port_of("studio")),
        "STUDIO_STATE_DIR": str(folder / "state"),
        "STUDIO_WORK_DIR": str(folder / "work"),
        "STUDIO_TOKENS_FILE": str(folder / "tokens.json"),
        "STUDIO_COLLECT_EVERY_H": "0",
    }
    environment = {**os.environ, **stack.program("studio").environment, **own}
    process = subprocess.Popen([sys.executable, "-m", "services.studio.app"], cwd=ROOT, env=environment)
    try:
        url = stack.url("studio")
        until(lambda: healthy(f"{url}/health/ready"), "studio is ready", 60)
        yield url
    finally:
        process.terminate()
        process.wait(10)


def visit_all(url: str, secret: str) -> list[Page]:
    with httpx.Client(base_url=url, timeout=60) as client:
        client.post("/login", data={"token": secret})
        first = {path: timed(client, path)[0] for path in pages_of()}
        until(lambda: "are being read" not in client.get(f"/shows/{SHOW}").text, "all transcripts are read", 300)
        return [visited(client, path, first[path]) for path in pages_of()]


def pages_of() -> Sequence[str]:
    show = f"/shows/{SHOW}"
    return (
        "/", show, f"{show}/sources", f"{show}/recordings", f"{show}/recordings/r0007", f"{show}/host",
        f"{show}/repeats",
        f"{show}/review", f"{show}/recordings/r0007/review", f"{show}/datasets", f"{show}/datasets/d9", f"{show}/runs",
        f"{show}/runs/1", f"{show}/episodes", f"{show}/episodes/new", f"{show}/episodes/{EPISODE}",
        f"{show}/comparisons", "/jobs", "/tokens", "/docs",
    )  # fmt: skip


def visited(client: httpx.Client, path: str, first_ms: float) -> Page:
    took = [timed(client, path) for _ in range(VISITS)]
    return Page(path, first_ms, statistics.median(ms for ms, _ in took), took[-1][1] / 1000)


def timed(client: httpx.Client, path: str) -> tuple[float, int]:
    began = time.perf_counter()
    answer = client.get(path)
    answer.raise_for_status()
    return 1000 * (time.perf_counter() - began), len(answer.content)


def table(pages: Sequence[Page]) -> str:
    lines = ["| page | first visit, ms | median, ms | kB |", "| --- | --- | --- | --- |"]
    lines += [f"| {one.path} | {one.first_ms:.0f} | {one.median_ms:.0f} | {one.kilobytes:.0f} |" for one in pages]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
