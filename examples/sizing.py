"""What so many recordings and episodes need: GPU hours, GPUs, disk, from measured figures. `python -m examples.sizing`.

    python -m examples.sizing [--recordings 1000] [--hours 1.5] [--episodes 100] [--words 15000] [--within-days 7]

Prints the tables of docs/sizing.md, which says where each figure comes from. An estimate is marked as one there: until
somebody has measured his own card, read these as the right order of magnitude.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

DAY_S = 86_400.0
BUSY = 0.7  # share of a day that a GPU is counted on: models load, jobs wait for each other

# Measured (docs/recordings.md, two CPU cores): a recording of three hours.
INGEST_S_PER_HOUR = 61.2 / 3
AUDIO_GB_PER_HOUR = (165 + 191 + 82 + 0.4) / 3 / 1000

# Measured (docs/transcripts.md, H200): word times of 21 minutes in 1.3 s. Estimates: recognition, voices.
ALIGNING_S_PER_S = 1.3 / (21 * 60)
RECOGNISING_S_PER_S = 0.02
VOICES_S_PER_S = 0.02
# Measured (notes, two CPU cores, packaged models): Whisper tiny 0.17, word times 0.26, voices 0.10 in between.
CPU_HEARING_S_PER_S = 0.17 + 0.26 + 0.10

# Speech. A word with its times is 73 bytes of JSON (measured); a transcript has two revisions on average (assumed).
WORDS_PER_HOUR = 9_000
TOKENS_PER_WORD = 1.33
TRANSCRIPT_GB_PER_HOUR = 2 * WORDS_PER_HOUR * 73 / 1e9

# Measured (docs/training.md, H200, Mistral-7B's shape): tokens per second by how the base model is held.
TRAINING_TOKENS_PER_S = {"4 bits": 6_923.0, "bf16": 5_361.0}
EPOCHS = 3
ADAPTER_PARAMETERS = 41_943_040  # rank 16 on all linear maps, counted from the shapes
KEPT_GB = ADAPTER_PARAMETERS * (4 + 3 * 12) / 1e9  # float32 weights, and three checkpoints with AdamW's two moments

# Measured (docs/episodes.md, CPU, the small model): attempts at a turn, prompt tokens computed per kept token.
ATTEMPTS = 2.0
PROMPT_TOKENS_PER_KEPT = 2.84
WEIGHTS_GB = 14.5
DECODING_SHARE = 0.6  # estimate: of a card's memory bandwidth that decoding reaches
AT_ONCE = 4  # INFERENCE_CONCURRENCY: sequences that share each reading of the weights
PREFILL_SHARE = 0.4  # estimate: of a large matrix product
PARAMETERS = 7.25e9
SPOKEN_GB_PER_WORD = 1.4 / 1000 * 60 / WORDS_PER_HOUR  # measured: 1.4 MB a minute


@dataclass(frozen=True)
class Load:
    """recordings of `hours` each to begin with, ready `within_days`; then each day episodes of so many words."""

    recordings: int = 1000
    hours: float = 1.5
    episodes: int = 100
    words: int = 15_000
    within_days: float = 7.0

    @property
    def audio_h(self) -> float:
        return self.recordings * self.hours


@dataclass(frozen=True)
class Card:
    """tb_s: memory bandwidth by its maker; tflops: large bf16 products, as services/trainer/presets.py has them."""

    name: str
    tb_s: float
    tflops: float
    held: str


CARDS = (
    Card("RTX 4090, 24 GB", 1.0, 130.0, "4 bits"),
    Card("L40S, 48 GB", 0.86, 290.0, "bf16"),
    Card("H100, 80 GB", 3.35, 700.0, "bf16"),
    Card("H200, 141 GB", 4.8, 780.0, "bf16"),
)
H200 = CARDS[-1]


# ---- seconds of a GPU. Pure. -----------------------------------------------------------------------------------------


def hearing_s(load: Load) -> float:
    """All recordings, on any card: most of it waits for the CPU and for small kernels."""
    return load.audio_h * 3600 * (RECOGNISING_S_PER_S + VOICES_S_PER_S + ALIGNING_S_PER_S)


def training_s(load: Load, card: Card) -> float:
    """One run over all recordings."""
    tokens = load.audio_h * WORDS_PER_HOUR * TOKENS_PER_WORD * EPOCHS
    return tokens / (TRAINING_TOKENS_PER_S[card.held] * card.tflops / H200.tflops)


def writing_s(load: Load, card: Card) -> float:
    """The episodes of a day, written `AT_ONCE` at a time."""
    kept = load.episodes * load.words * TOKENS_PER_WORD
    decoded_per_s = AT_ONCE * DECODING_SHARE * card.tb_s * 1000 / WEIGHTS_GB
    read_per_s = PREFILL_SHARE * card.tflops * 1e12 / (2 * PARAMETERS)
    return kept * ATTEMPTS / decoded_per_s + kept * PROMPT_TOKENS_PER_KEPT / read_per_s


def gpus(load: Load, card: Card) -> int:
    """At least: the backlog heard and one run trained within the days given, beside each day's episodes."""
    a_day = (hearing_s(load) + training_s(load, card)) / load.within_days + writing_s(load, card)
    return max(1, math.ceil(a_day / (DAY_S * BUSY)))


def gpus_afterwards(load: Load, card: Card) -> int:
    """Once the backlog is done: the episodes, and one run a week."""
    return max(1, math.ceil((writing_s(load, card) + training_s(load, card) / 7) / (DAY_S * BUSY)))


# ---- tables ----------------------------------------------------------------------------------------------------------


def table_of_gpus(load: Load) -> list[str]:
    rows = (
        (
            card.name,
            f"{hearing_s(load) / 3600:.0f}",
            f"{training_s(load, card) / 3600:.1f}",
            f"{writing_s(load, card) / 3600:.1f}",
            str(gpus(load, card)),
            str(gpus_afterwards(load, card)),
        )
        for card in CARDS
    )
    return table(
        (
            "card",
            "hear all, GPU hours",
            "train once, GPU hours",
            "write a day's episodes, GPU hours",
            f"GPUs, first {load.within_days:g} days",
            "GPUs afterwards",
        ),
        rows,
    )


def table_of_the_rest(load: Load) -> list[str]:
    ingest_h = load.audio_h * INGEST_S_PER_HOUR / 3600
    hearing_h = load.audio_h * CPU_HEARING_S_PER_S
    year_gb = 365 * load.episodes * load.words * SPOKEN_GB_PER_WORD
    return table(
        ("what", "for all"),
        (
            ("audio, hours", f"{load.audio_h:,.0f}"),
            ("bringing it in, hours of two CPU cores", f"{ingest_h:,.1f}"),
            ("hearing it without a GPU, hours of two CPU cores", f"{hearing_h:,.0f}"),
            ("words spoken, millions", f"{load.audio_h * WORDS_PER_HOUR / 1e6:,.1f}"),
            ("audio in the object store, GB", f"{load.audio_h * AUDIO_GB_PER_HOUR:,.0f}"),
            ("transcripts, GB", f"{load.audio_h * TRANSCRIPT_GB_PER_HOUR:,.1f}"),
            ("a training run's adapter and checkpoints, GB", f"{KEPT_GB:,.1f}"),
            ("a year's episodes, all of them spoken, GB", f"{year_gb:,.0f}"),
        ),
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def load_of(arguments: Sequence[str]) -> Load:
    options = argparse.ArgumentParser("examples.sizing", description="what so many recordings and episodes need")
    options.add_argument("--recordings", type=int, default=Load.recordings)
    options.add_argument("--hours", type=float, default=Load.hours, help="hours of each recording")
    options.add_argument("--episodes", type=int, default=Load.episodes, help="AI episodes a day")
    options.add_argument("--words", type=int, default=Load.words, help="words of each AI episode")
    options.add_argument("--within-days", type=float, default=Load.within_days, help="days until all is transcribed")
    return Load(**vars(options.parse_args(arguments)))


def page(load: Load) -> str:
    return "\n".join([*table_of_gpus(load), "", *table_of_the_rest(load)])


if __name__ == "__main__":
    print(page(load_of(sys.argv[1:])))
