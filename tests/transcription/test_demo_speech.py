"""The demo's show, as spoken by examples/speak.py: one host in every recording, another guest in each."""

from __future__ import annotations

import json
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.transcription import hosts
from services.transcription import job as story
from services.transcription.diarisation import likeness
from services.transcription.doubts import Cast, doubts_of
from services.transcription.engine import SpeechEngine
from services.transcription.hearing import Heard, Voices
from services.transcription.scoring import said, word_error_rate, word_role_accuracy, word_speaker_accuracy
from services.transcription.settings import Limits
from services.transcription.turns import build_turns
from shared.schemas import HostMethod, Role, SetHostRequest, TranscribeRequest
from shared.store import file_sha256
from tests.fakes import TimedFakeJob
from tests.transcription.planting import KINDS, plant
from tests.transcription.real import AUDIO, add, demo_speech, engine, flac, head, joined, store_with

__all__ = ["engine"]  # a fixture

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(1800)]

SEEDS, PLANTED = 10, 0.09


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The recordings as mp3 with a .reference.json each; DEMO_SPEECH names a folder that has them already."""
    return demo_speech(tmp_path_factory.mktemp("spoken"))


class Listener:
    """The engine, which hears each recording only once however many tests ask."""

    def __init__(self, engine: SpeechEngine) -> None:
        self._engine = engine
        self._heard: dict[tuple[str, str, str], Any] = {}

    def transcribe(self, path: Path, language: str, *more: Any, **named: Any) -> Heard:
        return self._once("transcribe", path, language, *more, **named)

    def diarise(self, path: Path, speakers: int, job: Any) -> Voices:
        return self._once("diarise", path, speakers, job)

    def _once(self, op: str, path: Path, *asked: Any, **named: Any) -> Any:
        key = (op, file_sha256(path), str(asked[0]))
        if key not in self._heard:
            self._heard[key] = getattr(self._engine, op)(path, *asked, **named)
        return self._heard[key]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


@pytest.fixture(scope="module")
def listener(engine: SpeechEngine) -> Listener:
    return Listener(engine)


def test_every_recording_has_two_speakers_and_the_host_set_once_is_found_in_all(listener, spoken, tmp_path):
    first, *rest = spoken
    store = store_with(flac(first, tmp_path / "audio.flac"), first.stem, host="Mara Quill")
    for path in rest:
        add(store, flac(path, tmp_path / "audio.flac"), path.stem)
    job = TimedFakeJob(tmp_path)

    for path in spoken:
        story.run(TranscribeRequest(show="houston", recording=path.stem), job=job, store=store, engine=listener)
        if path == first:
            guess = next(s.label for s in head(store, path.stem).speakers if s.role is Role.HOST)
            hosts.set_host(
                SetHostRequest(show="houston", recording=path.stem, speaker=guess),
                job=job,
                store=store,
                engine=listener,
            )

    results = {
        path.stem: (head(store, path.stem), json.loads(path.with_suffix(".reference.json").read_text()))
        for path in spoken
    }
    for name, (transcript, reference) in results.items():
        truth = said([(role_in(reference, turn), turn["text"]) for turn in reference["turns"]])
        heard = said([(turn.role.value, turn.text) for turn in transcript.turns])
        wer = word_error_rate([word for word, _ in truth], [word for word, _ in heard])
        accuracy, roles_right = word_speaker_accuracy(truth, heard), word_role_accuracy(truth, heard)
        print(
            f"\n{name}: speakers {len(transcript.speakers)}, WER {wer:.3f}, word-speaker accuracy {accuracy:.3f}, "
            f"words with the right role {roles_right:.3f}, "
            f"{transcript.host_method} {[(s.role.value, s.host_score) for s in transcript.speakers]}, "
            f"{transcript.warnings}"
        )
        assert len(transcript.speakers) == 2
        assert wer <= 0.08
        assert accuracy >= 0.98
        assert roles_right >= 0.98
        assert sum(turn.needs_review for turn in transcript.turns) <= 0.15 * len(transcript.turns)
        assert transcript.host_method is (HostMethod.SET if name == first.stem else HostMethod.VOICEPRINT)


def test_the_worst_tenth_of_the_turns_holds_most_of_the_planted_errors(listener, spoken, tmp_path):
    """Swaps, ghosts and splits in the demo, the NASA interview and read speech, in at most a tenth of the turns."""
    job, limits = TimedFakeJob(tmp_path), Limits()
    heard = {}
    for path in [*spoken, *interviews(tmp_path)]:
        flac(path, audio := tmp_path / f"{path.stem}.working.flac")
        voices = listener.diarise(audio, 2, job)
        words = listener.transcribe(audio, "en", job).words
        heard[path.stem] = build_turns(words, voices.spans, voices.evidence), voices

    caught = []
    for seed in range(SEEDS):
        random = np.random.default_rng(seed)
        kinds = cycle(random.permutation(KINDS).tolist())
        ranked: list[tuple[float, bool]] = []
        for turns, voices in heard.values():
            planted = plant(turns, voices.evidence, [next(kinds) for _ in range(round(PLANTED * len(turns)))], random)
            cast = Cast({0: "S1", 1: "S2", 2: "S3"}, alike=with_ghost(likeness(np.array(voices.centroids))))
            found = doubts_of(planted.turns, planted.evidence, cast, limits)
            ranked += [(one.doubt, place in planted.wrong) for place, one in enumerate(found)]
        ranked.sort(key=lambda one: -one[0])
        worst = ranked[: len(ranked) // 10]
        wrong = sum(one[1] for one in ranked)
        assert wrong <= len(worst)
        caught.append(sum(one[1] for one in worst) / wrong)
    print(
        f"\n{wrong} of {len(ranked)} turns wrong, in {len(heard)} recordings, {SEEDS} times: the worst tenth holds "
        f"{np.mean(caught):.2f} of them, {min(caught):.2f} at least"
    )
    assert np.mean(caught) >= 0.9
    assert min(caught) >= 0.8


def interviews(folder: Path) -> list[Path]:
    """Real people, where ../shared is beside this checkout: the NASA interview, and readers who take turns."""
    readings = [sorted(path.glob("*.flac")) for path in sorted((AUDIO / "librispeech").glob("*"))]
    made = [path for path in [AUDIO / "nasa-hwhap414-a.mp3"] if path.exists()]
    for place, (first, second) in enumerate(zip(readings[::2], readings[1::2], strict=False)):
        joined([path for pair in zip(first, second, strict=True) for path in pair], folder / f"readers-{place}.flac")
        made.append(folder / f"readers-{place}.flac")
    return made


def with_ghost(alike: np.ndarray) -> np.ndarray:
    """A third voice that sounds like both, as a ghost sounds like who it is; one more alike would have been merged."""
    wider = np.full((3, 3), 0.85)
    wider[:2, :2] = alike
    return wider


def role_in(reference: dict, turn: dict) -> str:
    return "host" if turn["speaker"] == reference["host"] else "guest"
