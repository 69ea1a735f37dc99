"""Word times by wav2vec2: whole batches of windows against whisperX, which hears piece after piece.

    python -m tests.bench_alignment AUDIO.flac SAID.json [--minutes 20] [--model FOLDER]

Run by transcription's own Python, on a GPU or without one. SAID.json holds what is said in the audio: a list of
{"start_s", "end_s", "text"}, pieces of up to 30 s. Both sides get the same pieces of the same audio, again and again
until there are so many minutes of it; the faster of two runs counts, after one run to warm up. Speed does not depend on
what a model has learnt: without --model it is one of the size of facebook/wav2vec2-base-960h with random weights, and
then the words' times mean nothing. That our search finds whisperX's times is checked on letters that are surely heard.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
import whisperx
from whisperx import alignment

from services.transcription import engine
from services.transcription.ctc import Letters
from services.transcription.settings import Options
from shared.engines import Reporter
from shared.working_copy import RATE_HZ

LEAST = 1.5
ALPHABET = ("<pad>", "<s>", "</s>", "<unk>", "|", *"etaonihsrdlumwcfgypbvk'xjqz")
Piece = dict[str, Any]


class WholeText:
    """A splitter of sentences that leaves every text whole: nltk's would be downloaded, for sentences nobody wants."""

    def __init__(self, resource: str) -> None:
        pass

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        return [(0, len(text))]


def main(arguments: Sequence[str]) -> int:
    options = argparse.ArgumentParser("tests.bench_alignment", description=__doc__)
    options.add_argument("audio", type=Path)
    options.add_argument("said", type=Path)
    options.add_argument("--minutes", type=float, default=20.0)
    options.add_argument("--model", type=Path)
    asked = options.parse_args(arguments)
    alignment.nltk_load = WholeText
    samples, _ = soundfile.read(asked.audio, dtype="float32")
    pieces = json.loads(asked.said.read_text())
    with tempfile.TemporaryDirectory(prefix="bench-alignment-") as folder:
        model = asked.model or made_up_model(Path(folder) / "wav2vec2-base-random")
        audio = Path(folder) / "audio.flac"
        samples, pieces = again_and_again(samples, pieces, asked.minutes * 60)
        soundfile.write(audio, samples, RATE_HZ)
        found = measure(audio, samples, pieces, model)
    print(json.dumps(found))
    return 0 if found["ratio"] >= LEAST and found["differing_words"] == 0 else 1


def made_up_model(folder: Path) -> Path:
    from transformers import Wav2Vec2Config, Wav2Vec2CTCTokenizer, Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC

    folder.mkdir()
    torch.manual_seed(7)
    Wav2Vec2ForCTC(Wav2Vec2Config(vocab_size=len(ALPHABET))).save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps({letter: number for number, letter in enumerate(ALPHABET)}))
    Wav2Vec2CTCTokenizer(str(folder / "vocab.json"), do_lower_case=True).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=False).save_pretrained(folder)
    return folder


def again_and_again(samples: np.ndarray, pieces: list[Piece], until_s: float) -> tuple[np.ndarray, list[Piece]]:
    length_s = len(samples) / RATE_HZ
    times = max(1, round(until_s / length_s))
    later = [
        {**piece, "start_s": piece["start_s"] + place * length_s, "end_s": piece["end_s"] + place * length_s}
        for place in range(times)
        for piece in pieces
    ]
    return np.tile(samples, times), later


def measure(audio: Path, samples: np.ndarray, pieces: list[Piece], model: Path) -> dict[str, Any]:
    gpu = torch.cuda.is_available()
    device = "cuda" if gpu else "cpu"
    told = Options(device=device, gpu_model="none", english_aligner=str(model), aligner="wav2vec2").model_dump()
    quiet = Reporter(lambda message: None)
    ask = {"options": told, "path": str(audio), "language": "en", "pieces": pieces}
    network, about = whisperx.load_align_model("en", device, model_name=str(model))
    segments = [{"start": piece["start_s"], "end": piece["end_s"], "text": piece["text"]} for piece in pieces]
    their_s, theirs = fastest(lambda: whisperx.align(segments, network, about, samples, device)["segments"])
    our_s, ours = fastest(lambda: engine.align(ask, quiet)["pieces"])
    assert sum(map(len, ours)) == sum(len(segment["words"]) for segment in theirs)
    return {
        "device": torch.cuda.get_device_name() if gpu else "cpu",
        "audio_s": round(len(samples) / RATE_HZ),
        "pieces": len(pieces),
        "words": sum(map(len, ours)),
        "whisperx_s": round(their_s, 2),
        "ours_s": round(our_s, 2),
        "ratio": round(their_s / our_s, 2),
        "differing_words": differing_words(pieces, about["dictionary"]),
        "gpu_mb": round(torch.cuda.max_memory_allocated() / 2**20) if gpu else None,
    }


def fastest(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of the faster of two runs after the first, and what the last one gave."""
    seconds = []
    for _ in range(3):
        began = time.monotonic()
        result = work()
        seconds.append(time.monotonic() - began)
    return min(seconds[1:]), result


def differing_words(pieces: list[Piece], dictionary: dict[str, int]) -> int:
    """Words that our search places elsewhere than whisperX's does, on the same letters heard in the same frames."""
    letters, random = Letters(dictionary), np.random.default_rng(7)
    differing = 0
    for piece in pieces[:20]:
        texts = [word for word in piece["text"].lower().split() if set(word) <= set(dictionary)]
        heard = surely_heard(texts, dictionary, random)
        ours = letters.times(heard, texts)
        text = "|".join(texts)
        tokens = [dictionary[letter] for letter in text]
        emissions = torch.from_numpy(heard)
        trellis = alignment.get_trellis(emissions, tokens, letters.blank)
        path = alignment.backtrack(trellis, emissions, tokens, letters.blank)
        spans = alignment.merge_repeats(path, text)
        theirs, place = [], 0
        for word in texts:
            theirs.append((spans[place].start, spans[place + len(word) - 1].end))
            place += len(word) + 1
        assert ours is not None
        differing += sum(a != b for a, b in zip(ours, theirs, strict=True))
    return differing


def surely_heard(texts: list[str], dictionary: dict[str, int], random: np.random.Generator) -> np.ndarray:
    """(T, V) log probabilities in which each letter lasts a frame or two, with silence between some."""
    columns: list[int] = [0]
    for letter in "|".join(texts):
        columns += [0] * int(random.integers(0, 3)) + [dictionary[letter]]
    columns += [0, 0]
    heard = random.random((len(columns), len(dictionary))) * 0.01
    heard[np.arange(len(columns)), columns] = 0.9
    return np.log(heard / heard.sum(axis=1, keepdims=True)).astype(np.float32)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
