"""The story: an episode becomes something to listen to, turn by turn; each is stored before the next is spoken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from services.inference import speech
from services.inference.settings import Settings
from services.inference.speech import NOTICE, Line
from services.inference.speech_engine import Part, Setup
from shared import keys
from shared.ai_mark import DIGITAL_SOURCE_TYPE
from shared.engines import Watch
from shared.errors import BadInputError
from shared.jobs import JobContext
from shared.renderings import EpisodeAudio, RenderRequest, RenderResult, Sound, SpokenSpan, SpokenTurns
from shared.schemas import Episode, Lineage, Show
from shared.store import Store, create_manifest, fetch_blob, load, made_from, point, put_blob, revise
from shared.version import VERSION

FLAC, MP3 = "audio/flac", "audio/mpeg"
NO_SOUND = ""


class Voices(Protocol):
    """What speaks; `services.inference.speech_engine.VoiceEngine` is the real one."""

    def setup(self, job: Watch) -> Setup: ...

    def speak(self, pieces: Sequence[tuple[str, float]], voice: str, take: int, path: Path, job: Watch) -> float: ...

    def join(self, parts: Sequence[Part], duration_s: float, facts: Path, mp3: Path, job: Watch) -> None: ...


def run(request: RenderRequest, *, job: JobContext, store: Store, engine: Voices, settings: Settings) -> RenderResult:
    """Speak what was not spoken yet, or is asked for again, and join all of it. A repeat goes on where it stopped."""
    show = load(store, keys.show(request.show), Show)
    episode = load(store, keys.episode(show.slug, request.episode), Episode)
    again = demand_turns(request.turns or (), episode)
    setup = engine.setup(job)
    speech.demand_may_be_heard(episode, show, setup.languages)
    voices = demand_voices(settings.speech_voices, setup)
    script = speech.script(episode, voices)

    booth = Booth(episode, setup, again, job, store, engine)
    missing = booth.missing(script)
    for line in missing:
        job.check()
        done = len(script) - len(missing) + len(booth.spoken)
        job.progress("speaking", done, len(script), "turns", note=line.pieces[0].text if line.pieces else "")
        booth.speak(line)
    return booth.join(script, voices)


def demand_turns(turns: Sequence[int], episode: Episode) -> frozenset[str]:
    """Names of the lines that are to be spoken again."""
    there = {turn.index for turn in episode.turns}
    if unknown := sorted(set(turns) - there):
        raise BadInputError(
            f"episode {episode.id} has no turn {unknown[0]}; its turns are 0 to {max(there, default=0)}, as "
            "`diary episodes show` counts them"
        )
    return frozenset(map(str, turns))


def demand_voices(voices: Mapping[str, str], setup: Setup) -> Mapping[str, str]:
    """raises BadInputError for a voice that the program of voices does not have"""
    for who, voice in voices.items():
        if voice not in setup.voices:
            raise BadInputError(
                f"there is no voice {voice!r}; set INFERENCE_SPEECH_{who.upper()}_VOICE to one of "
                f"{', '.join(setup.voices)}"
            )
    return voices


@dataclass
class Booth:
    """All that is needed to speak one line after the other, and to make one file of them.

    again    names of lines that somebody wants to hear otherwise
    spoken   names of lines that were spoken here, and where their sound lies
    """

    episode: Episode
    setup: Setup
    again: frozenset[str]
    job: JobContext
    store: Store
    engine: Voices
    spoken: dict[str, Path] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return keys.episode_spoken(self.episode.show, self.episode.id)

    def sounds(self) -> dict[str, Sound]:
        return load(self.store, self.key, SpokenTurns).sounds if self.store.exists(self.key) else {}

    def missing(self, script: Sequence[Line]) -> list[Line]:
        known = self.sounds()
        return [line for line in script if not self._stands(known.get(line.name), line)]

    def _stands(self, known: Sound | None, line: Line) -> bool:
        """Whether a line needs no speaking: the same text in the same voice is stored, and nobody wants it otherwise,
        or this very job has said it again before it was killed."""
        if known is None or known.made_from_sha256 != line.made_from(self.setup.recipe):
            return False
        if line.name in self.again and known.job != self.job.id:
            return False
        return known.blob is None or self.store.exists(known.blob.key)

    def speak(self, line: Line) -> None:
        """Speak and store; what another job stored of this line meanwhile is replaced."""
        made_from_sha256, known = line.made_from(self.setup.recipe), self.sounds().get(line.name)
        same = known is not None and known.made_from_sha256 == made_from_sha256
        take = known.take + int(line.name in self.again) if known is not None and same else 0
        path = self.job.work_dir / f"{line.name}.flac"
        duration_s = self.engine.speak(line.pieces, line.voice, take, path, self.job) if line.pieces else 0.0
        sound = Sound(
            made_from_sha256=made_from_sha256,
            take=take,
            job=self.job.id,
            duration_s=duration_s,
            blob=put_blob(self.store, path, FLAC) if duration_s else None,
        )
        empty = SpokenTurns(show=self.episode.show, episode=self.episode.id)
        create_manifest(self.store, self.key, empty)
        revise(self.store, self.key, SpokenTurns, lambda stored: _with(stored, line.name, sound))
        self.spoken[line.name] = path

    def join(self, script: Sequence[Line], voices: Mapping[str, str]) -> RenderResult:
        """Make the file of all sounds, unless the one that is stored was made of the same."""
        known = self.sounds()
        sounds = [known[line.name] for line in script]
        spans, duration_s = speech.layout(self.episode.id, [sound.duration_s for sound in sounds])
        chapters = speech.chapters(self.episode.turns, spans[1:], duration_s)
        facts = speech.ffmetadata(speech.tags(self.episode, voices, self.setup.model), chapters)
        digests = [sound.blob.sha256 if sound.blob else NO_SOUND for sound in sounds]
        made_from_sha256 = speech.file_sha256(self.setup.recipe, digests, facts)
        audio = self._stored_audio(made_from_sha256)
        if audio is None:
            mp3 = self._mp3(script, sounds, [span.start_s for span in spans], duration_s, facts)
            turns = zip(self.episode.turns, spans[1:], strict=True)
            audio = EpisodeAudio(
                show=self.episode.show,
                episode=self.episode.id,
                made_from_sha256=made_from_sha256,
                mp3=put_blob(self.store, mp3, MP3),
                duration_s=duration_s,
                notice=speech.spoken_notice(self.episode),
                chapters=chapters,
                turns=tuple(
                    SpokenSpan(turn=turn.index, start_s=span.start_s, end_s=span.end_s) for turn, span in turns
                ),
                silent=tuple(int(line.name) for line, sound in zip(script, sounds, strict=True) if sound.blob is None),
                voices=dict(voices),
                digital_source_type=DIGITAL_SOURCE_TYPE,
                lineage=self._lineage(voices),
            )
            key = keys.episode_audio(audio.show, audio.episode)
            point(self.store, key, audio.model_dump_json().encode())
        return _result(audio, len(self.spoken.keys() - {NOTICE}))

    def _stored_audio(self, made_from_sha256: str) -> EpisodeAudio | None:
        key = keys.episode_audio(self.episode.show, self.episode.id)
        audio = load(self.store, key, EpisodeAudio) if self.store.exists(key) else None
        same = audio is not None and audio.made_from_sha256 == made_from_sha256
        return audio if audio and same and self.store.exists(audio.mp3.key) else None

    def _mp3(
        self, script: Sequence[Line], sounds: Sequence[Sound], starts_s: Sequence[float], duration_s: float, facts: str
    ) -> Path:
        parts = []
        for done, (line, sound, start_s) in enumerate(zip(script, sounds, starts_s, strict=True)):
            self.job.check()
            self.job.progress("fetching what was spoken", done, len(script), "turns")
            if sound.blob is not None:
                path = self.spoken.get(line.name) or self.job.work_dir / f"{line.name}.flac"
                if line.name not in self.spoken:
                    fetch_blob(self.store, sound.blob, path)
                parts.append(Part(path, start_s))
        told, mp3 = self.job.work_dir / "facts.txt", self.job.work_dir / "episode.mp3"
        told.write_text(facts, encoding="utf-8")
        self.engine.join(parts, duration_s, told, mp3, self.job)
        return mp3

    def _lineage(self, voices: Mapping[str, str]) -> Lineage:
        return Lineage(
            made_from=made_from(self.store, keys.episode(self.episode.show, self.episode.id)),
            by="inference",
            version=VERSION,
            job=self.job.id,
            actor=self.job.actor,
            parameters={"voices": dict(voices)},
            models={self.setup.model: self.setup.recipe},
        )


def _with(stored: SpokenTurns, name: str, sound: Sound) -> SpokenTurns:
    return stored.model_copy(update={"sounds": {**stored.sounds, name: sound}})


def _result(audio: EpisodeAudio, spoken: int) -> RenderResult:
    return RenderResult(
        episode=audio.episode,
        key=keys.episode_audio(audio.show, audio.episode),
        duration_s=audio.duration_s,
        bytes=audio.mp3.bytes,
        turns=len(audio.turns),
        spoken=spoken,
        chapters=len(audio.chapters),
    )
