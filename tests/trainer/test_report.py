"""What a person reads about a dataset."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.trainer.dataset import Built, Frame, build_examples
from services.trainer.excluded import Repeated
from services.trainer.report import report_of
from shared.classifications import UNCLASSIFIED
from shared.schemas import DatasetReport, Estimate, ExcludedSpan, HostMethod
from tests.trainer.conftest import small_talk, turns
from tests.trainer.test_dataset import FRAME, source

ADVERT = "buy the lamp that never sleeps from Bright Oak today"
ESTIMATE = Estimate(
    device="NVIDIA L4", device_gb=24.1, method="QLoRA nf4", recompute=True, memory_gb=13.9, tokens_per_s=900, epochs=3,
    hours=1.2,
)  # fmt: skip


def report(sources, renderer, frame: Frame = FRAME, held_out=(), estimate=None) -> DatasetReport:
    built = build_examples(sources, frame, renderer)
    return report_of(built, sources, held_out, frame.max_length, estimate, "lamp")


def test_it_says_what_each_recording_gave_and_who_is_held_out(renderer):
    talks = [source(*small_talk(guest), recording=guest, guest=guest) for guest in ("Ann Ash", "Bob Birch")]

    found = report(talks, renderer, held_out=["bob  birch"])

    assert [(one.recording, one.guest, one.held_out, one.examples) for one in found.recordings] == [
        ("Ann Ash", "Ann Ash", False, 1), ("Bob Birch", "Bob Birch", True, 1),
    ]  # fmt: skip
    assert found.words == sum(len(text[3:].split()) for guest in ("Ann Ash", "Bob Birch") for text in small_talk(guest))
    assert found.hours == pytest.approx(10 / 3600, abs=1e-3), "ten turns of a second"
    assert (found.guests, found.examples) == (2, 2) and 0 < found.fill <= 1 and 0 < found.supervised_share < 1


def test_reasons_are_summed_over_recordings_the_weightiest_first(renderer):
    unknown = [source("h: one two three", recording=name, method=HostMethod.UNKNOWN) for name in ("a", "b")]
    other = source("h: Who?", "g: I.", "o: Hello.", recording="c")

    found = report([*unknown, other], renderer)

    assert [(one.words, one.recordings) for one in found.left_out] == [(6, 2), (1, 1)]
    assert found.words_left_out == 7
    assert any("6 words wait for one answer" in sentence for sentence in found.advice)


def test_an_advert_that_was_left_out_once_and_read_twice_is_told(renderer):
    said = turns("h: Hello.", f"g: {ADVERT}", f"h: {ADVERT}", "g: Fine.")
    marked = replace(
        source(), turns=said, excluded_spans=(ExcludedSpan(start_s=1, end_s=2, reason="advert", found_by="chapters"),)
    )

    found = report([marked], renderer)

    assert [(leak.reason, leak.grams, leak.found) for leak in found.leaks] == [("advert, found by chapters", 3, 3)]
    assert any("3 of 3 runs of 8 words" in sentence for sentence in found.advice)


def test_an_advert_that_is_out_is_out(renderer):
    said = turns("h: Hello.", f"g: {ADVERT}", "h: Who are you?", "g: Fine.")
    first = len(["Hello."])
    repeated = (Repeated(first, first + len(ADVERT.split()), UNCLASSIFIED, "c1"),)

    found = report([replace(source(), turns=said, repeated=repeated)], renderer)

    assert [(leak.reason, leak.found) for leak in found.leaks] == [(UNCLASSIFIED, 0)]
    assert any("diary repeats lamp" in sentence for sentence in found.advice)


@pytest.mark.parametrize(
    ("tokens", "enough", "verdict"),
    [(24_000, "no", "Too little"), (400_000, "little", "Enough to hear"), (1_300_000, "yes", "Enough: ")],
)
def test_the_verdict_compares_with_the_first_attempt(renderer, tokens, enough, verdict):
    built = build_examples([source(*small_talk("Ann"))], FRAME, renderer)
    grown = Built(examples=[built.examples[0].model_copy(update={"tokens": tokens})], usable=built.usable)

    found = report_of(grown, [source(*small_talk("Ann"))], (), tokens, None, "lamp")

    assert found.enough == enough and found.advice[0].startswith(verdict) and "323 chunks" in found.advice[0]


def test_the_estimate_is_told_as_one(renderer):
    found = report([source(*small_talk("Ann"))], renderer, estimate=ESTIMATE)

    assert "about 1.2 hours and 14 of 24 GB on NVIDIA L4 (QLoRA nf4); an estimate" in found.advice[-1]
