"""The voices: a text becomes sound, sounds become an mp3. Imports hibari, pyworld, soundfile and ffmpeg's program.

Near side: `VoiceEngine`, for the service. Far side: `python -m services.inference.speech_engine` in the environment
`speech`, a child process without a lease: it speaks on the CPU, many times faster than real time, so it never waits for
the GPU that the other engine of this service may hold. One neural voice ships inside `hibari-tts`; the others are the
same voice with other formants and another pitch (WORLD vocoder). None is anybody's own, and none can be made from a
recording here.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from shared.engines import PipeEngine, Reporter, Watch, serve
from shared.errors import BadInputError, EngineFailedError, EngineRefusedError, NoSpaceError

if TYPE_CHECKING:  # the far side's environment has no pydantic
    import numpy as np
    from hibari import Hibari

    from services.inference.settings import Settings

RECIPE = 1  # raise it when a change below alters the sound
RATE_HZ = 24_000
SPEECH_RMS = 0.07  # every turn is as loud as every other
ROOM_RMS = 0.0008  # about -62 dBFS: silence is a quiet room, not digital zero
ROOM_SEED = 20
TRIM_BELOW_DB = 45.0  # a sound starts and ends where it comes within this of its own peak
PACES = (1.0, 0.94, 1.06, 0.9)  # of one take after the other: the voice has no other way to say a thing again
KBITS = 64
DULL = 12  # samples over which the room's noise is smoothed


class Voice(NamedTuple):
    """Factors on the one voice we have: formants below 1 make a longer throat, pitch below 1 a deeper voice."""

    formant: float
    pitch: float


PLAIN = Voice(1.0, 1.0)
VOICES = {
    "heart": PLAIN,
    "heart-low": Voice(0.80, 0.52),
    "heart-warm": Voice(0.86, 0.65),
    "heart-deep": Voice(0.74, 0.45),
    "heart-bright": Voice(1.18, 1.35),
}
LANGUAGES = ("en",)


# ---- near side -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Setup:
    """What a program of voices says of itself.

    recipe      changes when the same text would sound otherwise
    languages   ISO 639 codes
    """

    model: str
    recipe: str
    voices: tuple[str, ...]
    languages: tuple[str, ...]


@dataclass(frozen=True)
class Part:
    """A sound, a 24 kHz mono FLAC, and where it starts in the file that is made."""

    path: Path
    start_s: float


class VoiceEngine:
    """Speaks in a child process."""

    def __init__(self, process: PipeEngine, program: str) -> None:
        self._process = process
        self._program = program

    @classmethod
    def from_settings(cls, settings: Settings) -> VoiceEngine:
        command = shlex.split(settings.speech_command)
        process = PipeEngine(
            "the voices",
            command,
            lease=None,
            log_file=settings.log_dir / "inference-speech.log",
            environment=settings.speech_environment(),
            idle_s=settings.engine_idle_s,
        )
        return cls(process, command[0])

    def setup(self, job: Watch) -> Setup:
        told = self._call("setup", job)
        return Setup(told["model"], told["recipe"], tuple(told["voices"]), tuple(told["languages"]))

    def speak(self, pieces: Sequence[tuple[str, float]], voice: str, take: int, path: Path, job: Watch) -> float:
        """Say texts one after the other, each with so many seconds of quiet after it, into a 24 kHz mono FLAC.

        returns  its seconds; 0, and no file, where nothing of it has a sound
        raises   BadInputError for a voice that there is not
        """
        asked = {
            "pieces": [list(piece) for piece in pieces],
            "voice": voice,
            "take": take,
            "path": str(path.absolute()),
        }
        return float(self._call("speak", job, **asked)["duration_s"])

    def join(self, parts: Sequence[Part], duration_s: float, facts: Path, mp3: Path, job: Watch) -> None:
        """Put sounds into a quiet room, as mono mp3. `facts` is a file of ffmetadata: tags and chapters."""
        placed = [{"path": str(part.path.absolute()), "start_s": part.start_s} for part in parts]
        files = {"facts": str(facts.absolute()), "mp3": str(mp3.absolute())}
        self._call("join", job, parts=placed, duration_s=duration_s, **files)

    @property
    def pid(self) -> int | None:
        return self._process.pid

    def stop(self) -> None:
        self._process.stop()

    def _call(self, op: str, job: Watch, **arguments: Any) -> dict[str, Any]:
        if shutil.which(self._program) is None:
            raise EngineRefusedError(
                f"no program {self._program}: run `make install`, or set INFERENCE_SPEECH_COMMAND to one that speaks"
            )
        return self._process.call(op, arguments, job)


# ---- far side: one turn ----------------------------------------------------------------------------------------------


def setup(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    packages = {name: version(name) for name in ("hibari-tts", "pyworld-prebuilt", "imageio-ffmpeg")}
    recipe = [RECIPE, RATE_HZ, SPEECH_RMS, ROOM_RMS, TRIM_BELOW_DB, KBITS, VOICES, PACES, packages]
    return {
        "model": f"hibari-tts {packages['hibari-tts']}",
        "recipe": f"{zlib.crc32(repr(recipe).encode()):08x}",
        "voices": list(VOICES),
        "languages": list(LANGUAGES),
    }


def speak(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    import numpy as np
    import soundfile

    name = arguments["voice"]
    if name not in VOICES:
        raise BadInputError(f"there is no voice {name!r}; choose of {', '.join(VOICES)} (INFERENCE_SPEECH_HOST_VOICE)")
    said: list[np.ndarray] = []
    for text, pause_s in arguments["pieces"]:
        sound = speak_piece(text, VOICES[name], arguments["take"])
        if len(sound):
            said += [sound, np.zeros(round(pause_s * RATE_HZ), np.float32)]
    if not said:
        return {"duration_s": 0.0}
    audio = levelled(np.concatenate(said[:-1]))
    soundfile.write(arguments["path"], np.clip(audio, -1.0, 1.0), RATE_HZ, format="FLAC", subtype="PCM_16")
    return {"duration_s": len(audio) / RATE_HZ}


@cache
def _tts() -> Hibari:
    """The voice, loaded once; its model and dictionaries lie inside the wheel."""
    from hibari import Hibari

    return Hibari()


def speak_piece(text: str, voice: Voice, take: int) -> np.ndarray:
    """(samples,) float32 at RATE_HZ without silence at the ends; the same at every call. Empty without a sound."""
    audio = trimmed(_tts()(text, speed=PACES[take % len(PACES)], seed=zlib.crc32(f"{take} {text}".encode())))
    return in_voice(audio, voice) if len(audio) else audio


def trimmed(audio: np.ndarray) -> np.ndarray:
    """Without the quiet before the first and after the last sound (the voice adds 0.3 to 0.4 s on each side)."""
    import numpy as np

    frame = RATE_HZ // 100
    frames = audio[: len(audio) // frame * frame].reshape(-1, frame)
    level = np.sqrt(np.mean(frames**2, axis=1))
    loud = np.flatnonzero(level > level.max(initial=0.0) * 10 ** (-TRIM_BELOW_DB / 20))
    return audio[loud[0] * frame : (loud[-1] + 1) * frame] if len(loud) else audio[:0]


def levelled(audio: np.ndarray) -> np.ndarray:
    """SPEECH_RMS loud where it is not quiet anyway; empty for silence."""
    import numpy as np

    rms = float(np.sqrt(np.mean(audio**2))) if len(audio) else 0.0
    return (audio * (SPEECH_RMS / rms)).astype(np.float32) if rms else audio[:0]


def in_voice(audio: np.ndarray, voice: Voice) -> np.ndarray:
    """The same words by another throat: spectral envelope stretched by `formant`, fundamental scaled by `pitch`."""
    import numpy as np
    import pyworld

    if voice == PLAIN:
        return audio
    signal = audio.astype(np.float64)
    # The voice lives within 90 to 400 Hz; the narrow search is faster and takes fewer octaves wrong.
    f0, times = pyworld.harvest(signal, RATE_HZ, f0_floor=90.0, f0_ceil=400.0)
    envelope = pyworld.cheaptrick(signal, f0, times, RATE_HZ)
    aperiodicity = pyworld.d4c(signal, f0, times, RATE_HZ)

    bins = np.arange(envelope.shape[1])
    source = np.clip(bins / voice.formant, 0, bins[-1])  # formants move to formant * their frequency
    below = np.floor(source).astype(int)
    above = np.minimum(below + 1, bins[-1])
    weight = source - below

    def stretch(spectrum: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(spectrum[:, below] * (1 - weight) + spectrum[:, above] * weight)

    shifted = pyworld.synthesize(f0 * voice.pitch, stretch(envelope), stretch(aperiodicity), RATE_HZ)
    return shifted[: len(audio)]


# ---- far side: all of it ---------------------------------------------------------------------------------------------


def join(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Stream the sounds through ffmpeg: hours need no more memory than the longest turn."""
    mp3 = Path(arguments["mp3"])
    log = mp3.with_name(f"{mp3.name}.log")
    with log.open("wb") as errors:
        command = encoding(Path(arguments["facts"]), mp3)
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors)
        assert process.stdin is not None
        try:
            for block in mixed(arguments["parts"], arguments["duration_s"], reporter):
                process.stdin.write(block.tobytes())
            process.stdin.close()
        except BrokenPipeError:
            pass  # it ended before its input did; its log says why
        code = process.wait()
    if code:
        raise _failure(log.read_text(errors="replace"), code)
    return {}


def encoding(facts: Path, mp3: Path) -> list[str]:
    """ffmpeg of imageio-ffmpeg (IMAGEIO_FFMPEG_EXE names another): samples on stdin, the same bytes at every call."""
    import imageio_ffmpeg

    return [
        *(imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-hide_banner", "-loglevel", "error", "-y"),
        *("-f", "f32le", "-ar", str(RATE_HZ), "-ac", "1", "-i", "pipe:0"),
        *("-f", "ffmetadata", "-i", f"file:{facts}", "-map", "0:a", "-map_metadata", "1", "-map_chapters", "1"),
        *("-fflags", "+bitexact", "-flags:a", "+bitexact", "-codec:a", "libmp3lame", "-b:a", f"{KBITS}k"),
        *("-id3v2_version", "3", "-f", "mp3", f"file:{mp3}"),
    ]


def mixed(parts: Sequence[Mapping[str, Any]], duration_s: float, reporter: Reporter) -> Iterator[np.ndarray]:
    """Every sound at its place in a quiet room, block by block: (n,) float32 at RATE_HZ."""
    import numpy as np
    import soundfile

    room = _room()
    at = 0
    for done, part in enumerate(parts):
        reporter.progress("joining", done, len(parts), "turns")
        sound, _ = soundfile.read(part["path"], dtype="float32")
        start = round(part["start_s"] * RATE_HZ)
        yield room(start - at)
        yield np.clip(room(len(sound)) + sound, -1.0, 1.0)
        at = start + len(sound)
    yield room(round(duration_s * RATE_HZ) - at)


def _room() -> Callable[[int], np.ndarray]:
    """So many further samples of a quiet room: dull noise, the same from its beginning in every file."""
    import numpy as np

    dice, shape = np.random.default_rng(ROOM_SEED), np.hanning(DULL).astype(np.float32)
    shape *= ROOM_RMS / float(np.sqrt(np.sum(shape**2)))

    def more(count: int) -> np.ndarray:
        white = dice.standard_normal(max(0, count) + DULL - 1).astype(np.float32)
        return np.convolve(white, shape, mode="valid")[: max(0, count)]

    return more


def _failure(log: str, code: int) -> Exception:
    if "No space left on device" in log:
        return NoSpaceError("the work folder's disk is full; free some space and run the job again")
    return EngineFailedError(f"ffmpeg ended with {code}: {log.strip()[-300:]}; check IMAGEIO_FFMPEG_EXE")


OPERATIONS: dict[str, Callable[[dict[str, Any], Reporter], dict[str, Any]]] = {
    "setup": setup,
    "speak": speak,
    "join": join,
}

if __name__ == "__main__":
    serve(OPERATIONS)
