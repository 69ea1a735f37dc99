"""Doubts about turns, on made-up evidence: margins as GE2E gives them in interviews, 0.15 give or take."""

from __future__ import annotations

import numpy as np
import pytest

from services.transcription.doubts import Cast, Doubt, doubts_of
from services.transcription.hearing import Evidence
from services.transcription.settings import Limits
from services.transcription.turns import VoiceTurn
from shared.schemas import Role, Word
from tests.transcription.planting import KINDS, plant

HOP_S = 0.1
LIMITS = Limits()
LABELS = {0: "S1", 1: "S2", 2: "S3"}
SENTENCES = ("And what did you do then?", "We stayed there all summer.", "It was a small town.", "I see that now.")


def turn(voice: int, text: str, start_s: float = 0.0, word_s: float = 0.4, score: float | None = None) -> VoiceTurn:
    times = [(start_s + place * word_s, start_s + (place + 1) * word_s) for place in range(len(text.split()))]
    said = zip(text.split(), times, strict=True)
    return VoiceTurn(voice, tuple(Word(text=word, start_s=a, end_s=b, score=score) for word, (a, b) in said))


def in_a_row(*lines: tuple[int, str]) -> list[VoiceTurn]:
    turns: list[VoiceTurn] = []
    for voice, text in lines:
        turns.append(turn(voice, text, turns[-1].end_s if turns else 0.0))
    return turns


def heard(
    turns: list[VoiceTurn], margins: dict[int, float] | None = None, overlapped: tuple[int, ...] = ()
) -> Evidence:
    """Two voices; each turn sounds like its own by 0.15, or by the margin given for its place."""
    centres_s = np.arange(turns[0].start_s + HOP_S / 2, turns[-1].end_s, HOP_S)
    places = np.array([next(i for i, t in enumerate(turns) if centre_s < t.end_s + 1e-6) for centre_s in centres_s])
    own = np.array([(margins or {}).get(place, 0.15) for place in places])
    first = np.where(np.array([turns[place].voice for place in places]) == 0, own, -own)
    return Evidence(
        centres_s=tuple(centres_s),
        cosines=tuple(zip(0.8 + first / 2, 0.8 - first / 2, strict=True)),
        overlap=tuple(np.isin(places, overlapped) * 0.9),
    )


def judged(turns: list[VoiceTurn], evidence: Evidence | None = None, **cast) -> list[Doubt]:
    return doubts_of(turns, heard(turns) if evidence is None else evidence, Cast(LABELS, **cast), LIMITS)


CLEAN = in_a_row((0, "Where did you grow up as a child?"), (1, "In a small town by the sea, with my aunt."))


def test_a_clean_interview_has_no_doubts():
    assert [found.doubt for found in judged(CLEAN)] == [0.0, 0.0]
    assert [found.reasons for found in judged(CLEAN)] == [(), ()]


def test_a_turn_that_sounds_like_somebody_else_is_nearly_surely_wrong():
    found = judged(CLEAN, heard(CLEAN, {1: -0.1}))

    assert found[1].doubt > 0.8
    assert "sounds like S1 (margin -0.10)" in found[1].reasons[0]
    assert found[0].doubt == 0


def test_the_smaller_the_margin_the_greater_the_doubt():
    doubts = [judged(CLEAN, heard(CLEAN, {1: margin}))[1].doubt for margin in (0.1, 0.04, 0.0, -0.05, -0.2)]

    assert doubts == sorted(doubts) and doubts[0] == 0 and len(set(doubts)) == 5


def test_one_sentence_of_another_voice_in_a_long_turn_is_found():
    turns = in_a_row((0, "We talked about it."), (1, "I know, but why?"), (0, "So it was never built. " * 10))
    merged = [VoiceTurn(0, tuple(word for one in turns for word in one.words))]

    found = judged(merged, heard(turns))

    assert found[0].doubt > 0.8 and "at 1.6 s sounds like S2" in found[0].reasons[0]


def test_a_short_turn_is_only_flagged_where_the_voice_does_not_tell():
    turns = in_a_row(
        (0, "You went there every single day, all summer?"), (1, "Yeah."), (0, "And then you left it all.")
    )
    shares = in_a_row((1, "That was long ago and far away from here. " * 2))

    known = judged([*turns, *shares], heard(turns))[1]
    unknown = judged([*turns, *shares], Evidence())[1]

    assert known.doubt < LIMITS.review_doubt <= unknown.doubt
    assert known.reasons == unknown.reasons == ("shorter than 1 s",)


def test_overlap_is_marked_and_doubted():
    found = judged(CLEAN, heard(CLEAN, overlapped=(1,)))

    assert (found[0].overlap, found[1].overlap) == (0.0, 1.0)
    assert found[1].doubt >= LIMITS.review_doubt and "somebody else talks too" in found[1].reasons[0]


def test_a_voice_more_than_were_told_is_doubted():
    turns = [*CLEAN, turn(2, "By the sea, you say.", CLEAN[-1].end_s)]

    found = judged(turns, Evidence(), expected=2)

    assert found[2].doubt > 0.5 and "S3 is one voice more than the 2" in found[2].reasons[0]


def test_a_voice_that_says_little_and_sounds_like_a_greater_one_may_be_the_same_person():
    turns = [*CLEAN, turn(2, "By the sea.", CLEAN[-1].end_s)]
    alike = np.array([[-1, 0.7, 0.7], [0.7, -1, 0.86], [0.7, 0.86, -1]])

    found = judged(turns, Evidence(), alike=alike)

    assert found[2].doubt >= 0.5 and "sounds like S2" in found[2].reasons[0]
    assert found[1].doubt == 0


@pytest.mark.parametrize(
    ("said", "role", "reason"),
    [
        ("Did you stay? Yes, until I was ten.", Role.HOST, "answers its own question"),
        ("Well, thanks for joining us today.", Role.GUEST, "is what a host says"),
        ("Thank you so much for having me.", Role.HOST, "is what a guest says"),
    ],
)
def test_what_is_said_can_tell_who_did_not_say_it(said, role, reason):
    found = judged([turn(0, said)], Evidence(), roles={"S1": role})

    assert found[0].doubt >= LIMITS.review_doubt and reason in found[0].reasons[0]


def test_going_on_in_the_middle_of_anothers_sentence_is_a_small_sign():
    turns = in_a_row((0, "and you lived in this old"), (1, "house by the sea for many years."))

    assert 0 < judged(turns)[1].doubt < LIMITS.review_doubt


def test_words_that_the_recogniser_is_unsure_of_are_doubted():
    sure, unsure = (judged([turn(0, "It was the house of my aunt.", score=score)])[0] for score in (0.9, 0.2))

    assert sure.doubt == 0 and unsure.doubt >= LIMITS.review_doubt
    assert "unsure of its words" in unsure.reasons[0]


def test_reasons_come_weightiest_first():
    turns = in_a_row((0, "So you lived there for many years, all of you?"), (1, "Yeah."))

    found = judged(turns, heard(turns, {1: -0.1}, overlapped=(1,)), expected=2)

    assert len(found[1].reasons) >= 3
    assert "sounds like S1" in found[1].reasons[0] or "somebody else" in found[1].reasons[0]


def interview(random: np.random.Generator, turns: int = 150) -> tuple[list[VoiceTurn], Evidence]:
    """Turns of one to four sentences; margins wander as measured: 0.15 give or take 0.05, less at every change."""
    lines = []
    for place in range(turns):
        count = int(random.integers(1, 5))
        lines.append((place % 2, " ".join(SENTENCES[index] for index in random.integers(0, 4, count))))
    made = in_a_row(*lines)
    evidence = heard(made)
    wander = np.convolve(random.normal(size=len(evidence.centres_s)), np.ones(8) / np.sqrt(8), "same") * 0.05
    cosines = np.array(evidence.cosines) + np.stack([wander, -wander], axis=1) / 2
    smooth = np.stack([np.convolve(column, np.ones(5) / 5, "same") for column in cosines.T], axis=1)
    return made, evidence.model_copy(update={"cosines": tuple(map(tuple, smooth.tolist()))})


@pytest.mark.parametrize("seed", range(5))
def test_the_worst_tenth_of_the_turns_holds_the_planted_errors(seed):
    random = np.random.default_rng(seed)
    turns, evidence = interview(random)
    errors = [KINDS[place % len(KINDS)] for place in range(12)]
    planted = plant(turns, evidence, errors, random)
    alike = np.array([[-1, 0.75, 0.85], [0.75, -1, 0.85], [0.85, 0.85, -1]])

    found = doubts_of(planted.turns, planted.evidence, Cast(LABELS, alike=alike), LIMITS)

    ranked = sorted(range(len(found)), key=lambda place: -found[place].doubt)
    worst = ranked[: len(ranked) // 10]
    assert len(planted.wrong) <= len(worst)
    assert len(set(worst) & set(planted.wrong)) >= 0.8 * len(planted.wrong)
    assert sum(one.doubt >= LIMITS.review_doubt for one in found) <= 0.2 * len(found)
