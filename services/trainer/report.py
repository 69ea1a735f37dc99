"""What a person reads about a dataset: what is in, what is not and why, and whether it is enough. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Literal

from services.trainer.dataset import HOST_UNKNOWN, UNSURE, Built, Source
from services.trainer.leaks import leaks
from services.trainer.packing import fitted
from shared.classifications import UNCLASSIFIED
from shared.schemas import DatasetReport, Estimate, Example, Included, Leak, LeftOut, LeftOutTotal
from shared.spoken import guest_key

FIRST_ATTEMPT = "323 chunks of at most 4,096 tokens, about 1.3 million"
LITTLE_TOKENS, ENOUGH_TOKENS = 100_000, 1_000_000
FEW_GUESTS = 8
MUCH_LEFT_OUT = 0.2
ADVERT = "advert"


def report_of(
    built: Built,
    sources: Sequence[Source],
    held_out: Collection[str],
    max_length: int,
    estimate: Estimate | None,
    show: str,
) -> DatasetReport:
    """
    held_out   guests kept out of training
    show       its slug, for the commands that the advice names
    """
    included = _included(built, sources, {guest_key(guest) for guest in held_out})
    packs = fitted([example.tokens for example in built.examples], max_length)
    tokens = sum(example.tokens for example in built.examples)
    reasons = _by_reason(built.left_out)
    found = leaks(built.examples, built.spans_said)
    facts = DatasetReport(
        recordings=included,
        hours=round(sum(one.talk_s for one in included) / 3600, 3),
        words=sum(one.words for one in included),
        guests=len({guest_key(one.guest) for one in included}),
        examples=len(built.examples),
        tokens=tokens,
        supervised_share=round(sum(example.supervised_tokens for example in built.examples) / tokens, 4),
        fill=round(tokens / (max_length * len(packs)), 4),
        words_left_out=sum(one.words for one in reasons),
        left_out=reasons,
        leaks=found,
        backchannels=built.backchannels,
        fillers=built.fillers,
        enough=_enough(tokens),
        advice=(),
        estimate=estimate,
    )
    return facts.model_copy(update={"advice": tuple(advice(facts, show))})


def advice(report: DatasetReport, show: str) -> list[str]:
    """Sentences for a person, the most important first."""
    said = [_verdict(report)]
    said += [_leak(leak) for leak in report.leaks if leak.found and leak.reason.startswith(ADVERT)]
    if report.guests < FEW_GUESTS:
        said.append(
            f"Only {report.guests} guests: the model may learn them instead of the host. Add interviews with others."
        )
    words = {one.reason: one.words for one in report.left_out}
    if words.get(UNCLASSIFIED):
        said.append(f"{words[UNCLASSIFIED]:,} words are repeated spans nobody has classified: `diary repeats {show}`.")
    if words.get(HOST_UNKNOWN):
        said.append(f"{words[HOST_UNKNOWN]:,} words wait for one answer, who the host is: `diary transcripts host`.")
    if words.get(UNSURE):
        said.append(f"{words[UNSURE]:,} words are too doubtful to learn from: `diary transcripts review {show}`.")
    if report.words_left_out > MUCH_LEFT_OUT * (report.words + report.words_left_out):
        share = report.words_left_out / (report.words + report.words_left_out)
        said.append(f"{share:.0%} of all words are left out; the reasons are listed below.")
    if report.estimate is not None:
        said.append(_cost(report.estimate))
    return said


def _enough(tokens: int) -> Literal["no", "little", "yes"]:
    return "no" if tokens < LITTLE_TOKENS else "little" if tokens < ENOUGH_TOKENS else "yes"


def _verdict(report: DatasetReport) -> str:
    size = (
        f"{report.hours:.1f} hours of talk with {report.guests} guests: {report.tokens:,} tokens in {report.examples} "
        f"examples (the first attempt had {FIRST_ATTEMPT})"
    )
    if report.enough == "no":
        return f"Too little to learn a host's manner from, enough to see that all works: {size}."
    if report.enough == "little":
        return f"Enough to hear the host's manner, too little for many subjects: {size}."
    return f"Enough: {size}."


def _leak(leak: Leak) -> str:
    return (
        f"{leak.found} of {leak.grams} runs of 8 words of what was left out as {leak.reason} are in the examples all "
        "the same: an advert is read where nobody marked it. Find it with `diary repeats find` and classify it."
    )


def duration(hours: float) -> str:
    """Two digits are all that an estimate has."""
    return f"{hours:.2g} hours" if hours >= 1 else f"{max(1, round(hours * 60))} minutes"


def _cost(found: Estimate) -> str:
    return (
        f"Training for {found.epochs:g} epochs: about {duration(found.hours)} and {found.memory_gb:.0f} of "
        f"{found.device_gb:.0f} GB on {found.device} ({found.method}); an estimate, nothing was measured."
    )


def _included(built: Built, sources: Sequence[Source], held_out: Collection[str]) -> tuple[Included, ...]:
    by_recording: dict[str, list[Example]] = {}
    for example in built.examples:
        by_recording.setdefault(example.recording, []).append(example)
    found = []
    for source in sources:
        own = by_recording.get(source.recording)
        if not own:
            continue
        words = sum(len(message.text.split()) for example in own for message in example.messages[1:])
        usable = built.usable[source.recording]
        found.append(
            Included(
                recording=source.recording,
                transcript=source.transcript,
                guest=own[0].guest,
                state=source.state,
                held_out=guest_key(own[0].guest) in held_out,
                examples=len(own),
                tokens=sum(example.tokens for example in own),
                words=words,
                talk_s=round(usable.seconds * min(1.0, words / max(1, usable.words)), 1),
            )
        )
    return tuple(found)


def _by_reason(left_out: Sequence[LeftOut]) -> tuple[LeftOutTotal, ...]:
    """The most words first."""
    words: Counter[str] = Counter()
    recordings: Counter[str] = Counter()
    for left in left_out:
        words[left.reason] += left.words
        recordings[left.reason] += 1
    return tuple(
        LeftOutTotal(reason=reason, words=count, recordings=recordings[reason]) for reason, count in words.most_common()
    )
