"""What a careful reader would find in a conversation, as figures, each beside its normal range. Pure.

`measure` makes the figures of `shared.schemas.Report`; `lines` puts them beside what is normal; what is not becomes a
finding, and all findings the verdict. How repetition is counted: `shared/repetition.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Literal

from shared.adverts import advert_words
from shared.bleed import answers_itself
from shared.repetition import (
    compression_by_tenth,
    longest_repeat,
    repetition,
    rise,
    tail_repetition,
    words_of,
    worst_window,
)
from shared.schemas import RecitedSpan, Report

Role = Literal["host", "guest"]
Grade = Literal["ok", "look", "bad"]
MadeBy = Literal["model", "people"]

LENGTH_TOLERANCE = 0.10
FEW_REPLIES = 2  # one-word replies that are no habit, whatever their share
ENOUGH_TURNS, ENOUGH_WORDS = 8, 1000  # with less of both, shares and medians tell nothing
TWO = 2


@dataclass(frozen=True)
class Spoken:
    """One turn as a reader sees it.

    role      None where nobody knows who is the host
    closed    false when it breaks off without its end mark
    speaker   who says it, where host and guest are not all there are
    """

    role: Role | None
    text: str
    closed: bool = True
    speaker: str = ""


@dataclass(frozen=True)
class Range:
    """What is normal of a figure: up to `look`; beyond `bad` it spoils the episode.

    source   the real conversations of ../shared on one side (rep-4 0.03, worst window 0.04, tail 0.02, 10 words in a
             row, rise 1.03, one reply of nine in one word), the prototype's transcripts on the other
    """

    look: float
    bad: float

    def grade(self, value: float) -> Grade:
        return "bad" if value > self.bad else "look" if value > self.look else "ok"


REP4 = Range(0.15, 0.30)
WINDOW = Range(0.15, 0.25)
TAIL = Range(0.15, 0.30)
LONGEST = Range(40, 100)
RISE = Range(1.25, 1.50)
ONE_WORD = Range(0.10, 0.25)
ANSWERS = Range(0, 2)
ADVERTS = Range(0, 2)
RECITED = Range(0, 50)
NONE = Range(0, 0)
HOST_SHARE = (0.05, 0.50)
HOST_MEDIAN = (3, 150)
GUEST_MEDIAN = (6, 400)
QUESTION_SHARE = (0.25, 1.0)


@dataclass(frozen=True)
class Line:
    """One figure for people; `finding` says what is out of the ordinary, and is empty where nothing is."""

    label: str
    value: str
    normal: str = ""
    grade: Grade = "ok"
    finding: str = ""


# ---- the figures -----------------------------------------------------------------------------------------------------


def measure(
    turns: Sequence[Spoken],
    *,
    target_words: int | None = None,
    eos_runs: int = 0,
    made_by: MadeBy = "model",
    recited: tuple[RecitedSpan, ...] | None = None,
) -> Report:
    """All figures of one conversation, what is out of the ordinary, and a verdict in one line.

    target_words   how long it was to be, where that is known
    eos_runs       end-of-sequence tokens in runs, as whoever read the text counted them
    made_by        of people nobody asks that they take turns, or that there are only two
    recited        what is taken from training recordings; None: nobody looked
    """
    words = [word for turn in turns for word in words_of(turn.text)]
    host, guest = _words_of_turns(turns, "host"), _words_of_turns(turns, "guest")
    replies = guest if guest or host else [len(words_of(turn.text)) for turn in turns]
    tenths = compression_by_tenth(words)
    hosted = bool(host)
    answers = sum(answers_itself(turn.text) for turn in turns if turn.role == "host")
    report = Report(
        words=len(words),
        turns=len(turns),
        speakers=len({_who(turn) for turn in turns}),
        alternates=all(_who(turn) != _who(following) for turn, following in pairwise(turns)),
        starts_with_host=bool(turns) and turns[0].role == "host",
        empty_turns=sum(not words_of(turn.text) for turn in turns),
        unclosed=sum(not turn.closed for turn in turns),
        eos_runs=eos_runs,
        one_word_replies=_one_word(replies),
        one_word_share=round(_one_word(replies) / len(replies), 3) if replies else 0.0,
        rep4=round(repetition(words, 4), 3),
        worst_window_rep4=round(worst_window(words), 3),
        tail_rep4=round(tail_repetition(words), 3),
        longest_repeat_words=longest_repeat(words),
        compression=tuple(round(ratio, 2) for ratio in tenths),
        compression_rise=round(rise(tenths), 2) if tenths else None,
        answers_in_host_turns=answers if hosted else None,
        advert_words=tuple(phrase for turn in turns for phrase in advert_words(turn.text)),
        host_share=round(sum(host) / len(words), 3) if hosted and words else None,
        host_median_words=median(host) if hosted else None,
        guest_median_words=median(guest) if guest else None,
        host_question_share=round(_asking(turns) / len(host), 3) if hosted else None,
        recited=recited,
        verdict="",
    )
    seen = lines(report, target_words=target_words, made_by=made_by)
    findings = tuple(line.finding for line in seen if line.finding)
    return report.model_copy(update={"findings": findings, "verdict": verdict(seen)})


def _who(turn: Spoken) -> str:
    return turn.speaker or turn.role or ""


def _words_of_turns(turns: Sequence[Spoken], role: Role) -> list[int]:
    return [len(words_of(turn.text)) for turn in turns if turn.role == role]


def _one_word(lengths: Sequence[int]) -> int:
    return sum(length <= 1 for length in lengths)


def _asking(turns: Sequence[Spoken]) -> int:
    return sum("?" in turn.text for turn in turns if turn.role == "host")


# ---- what is normal --------------------------------------------------------------------------------------------------


def verdict(seen: Sequence[Line]) -> str:
    """One line for people: what is wrong, what is worth a look, or that nothing is."""
    faults = "; ".join(line.finding for line in seen if line.finding and line.grade == "bad")
    doubts = "; ".join(line.finding for line in seen if line.finding and line.grade == "look")
    if faults and doubts:
        return f"faults: {faults}; worth a look: {doubts}"
    if faults or doubts:
        return f"faults: {faults}" if faults else f"worth a look: {doubts}"
    return "sound: structure, length and repetition are within limits"


def lines(report: Report, *, target_words: int | None = None, made_by: MadeBy = "model") -> list[Line]:
    """The figures in reading order, each with its normal range and a grade."""
    return [
        *_structure(report, target_words, made_by),
        *_repetition(report),
        *_said(report),
        *_manner(report),
    ]


def _structure(report: Report, target_words: int | None, made_by: MadeBy) -> Iterator[Line]:
    yield _length(report.words, target_words)
    yield Line("turns", f"{report.turns}") if report.turns else _fault("turns", "0", "1 or more", "there are no turns")
    if made_by == "model":
        yield _must(report.alternates, "host and guest alternate", "host and guest do not alternate")
        yield _must(report.starts_with_host or not report.turns, "the host speaks first", "the guest speaks first")
    yield _high("empty turns", report.empty_turns, NONE, _whole, _many(report.empty_turns, "empty turn"))
    yield _high(
        "unclosed turns",
        report.unclosed,
        NONE,
        _whole,
        f"{_many(report.unclosed, 'unclosed turn')}: broken off without an end mark",
    )
    runs = report.eos_runs or 0
    yield _high("end marks in runs", runs, NONE, _whole, f"{runs} end marks (</s>) in runs of three or more")


def _repetition(report: Report) -> Iterator[Line]:
    yield _high(
        "repeated 4-grams, whole text (rep-4)",
        report.rep4,
        REP4,
        _two,
        f"repeats itself: {report.rep4:.0%} of its runs of four words were said before",
    )
    yield _high(
        "repeated 4-grams, worst 200 words",
        report.worst_window_rep4,
        WINDOW,
        _two,
        f"goes round in circles: {report.worst_window_rep4:.0%} of its worst 200 words repeats",
    )
    if report.tail_rep4 is not None:
        finding = f"repeats itself at the end: {report.tail_rep4:.0%} of the last fifth"
        yield _high("repeated 4-grams, last fifth", report.tail_rep4, TAIL, _two, finding)
    longest = report.longest_repeat_words
    yield _high(
        "longest repeated span, words", longest, LONGEST, _whole, f"longest repeated span: {longest} words in a row"
    )
    if report.compression_rise is not None:
        finding = f"grows monotonous: a tenth of it packs {report.compression_rise:.1f} times as well as the first"
        yield _high("most compressible tenth against the first", report.compression_rise, RISE, _two, finding)


def _said(report: Report) -> Iterator[Line]:
    finding = f"one-word replies: {report.one_word_share:.0%} of the guest's turns"
    line = _high("one-word replies of the guest", report.one_word_share, ONE_WORD, _share, finding)
    is_habit = report.one_word_replies is None or report.one_word_replies > FEW_REPLIES
    yield line if is_habit else Line(line.label, line.value, f"{line.normal}, or {FEW_REPLIES} replies")
    if report.answers_in_host_turns is not None:
        finding = f"{_many(report.answers_in_host_turns, 'host turn')} with the guest's answer in it"
        yield _high("host turns that answer themselves", report.answers_in_host_turns, ANSWERS, _whole, finding)
    if report.recited is not None:
        words = sum(span.last_word - span.first_word for span in report.recited)
        recordings = len({span.recording for span in report.recited})
        finding = f"recites {words} words of {_many(recordings, 'training recording')}"
        yield _high("words recited from training recordings", words, RECITED, _whole, finding)
    phrases = ", ".join(f"“{phrase}”" for phrase in dict.fromkeys(report.advert_words))
    yield _high("advert phrases", len(report.advert_words), ADVERTS, _whole, f"advert words: {phrases}")


def _manner(report: Report) -> Iterator[Line]:
    """How host and guest share the talk; without a range where there are more than two, or hardly any talk."""
    judged = report.speakers == TWO and (report.turns >= ENOUGH_TURNS or report.words >= ENOUGH_WORDS)
    if report.host_share is not None:
        yield _between("host's share of the words", report.host_share, HOST_SHARE, _share, judged)
    if report.host_median_words is not None:
        yield _between("median host turn, words", report.host_median_words, HOST_MEDIAN, _number, judged)
    if report.guest_median_words is not None:
        yield _between("median guest turn, words", report.guest_median_words, GUEST_MEDIAN, _number, judged)
    if report.host_question_share is not None:
        yield _between("host turns that ask", report.host_question_share, QUESTION_SHARE, _share, judged)
    if report.compression:
        yield Line("compression by tenth", " ".join(f"{ratio:.1f}" for ratio in report.compression))


# ---- lines -----------------------------------------------------------------------------------------------------------


def _length(words: int, target: int | None) -> Line:
    if target is None:
        return Line("words", f"{words:,}")
    normal = f"{target:,} ± {LENGTH_TOLERANCE:.0%}"
    if abs(words - target) > LENGTH_TOLERANCE * target:
        return _fault("words", f"{words:,}", normal, f"{words} words instead of {target}")
    return Line("words", f"{words:,}", normal)


def _must(holds: bool, label: str, finding: str) -> Line:
    return Line(label, "yes", "yes") if holds else _fault(label, "no", "yes", finding)


def _fault(label: str, value: str, normal: str, finding: str) -> Line:
    return Line(label, value, normal, "bad", finding)


def _high(label: str, value: float, normal: Range, written: Callable[[float], str], finding: str) -> Line:
    grade = normal.grade(value)
    up_to = f"up to {written(normal.look)}" if normal.look else written(0)
    return Line(label, written(value), up_to, grade, "" if grade == "ok" else finding)


def _between(
    label: str, value: float, normal: tuple[float, float], written: Callable[[float], str], judged: bool
) -> Line:
    low, high = normal
    if not judged:
        return Line(label, written(value))
    span = f"{written(low)} to {written(high)}"
    if low <= value <= high:
        return Line(label, written(value), span)
    return Line(label, written(value), span, "look", f"{label}: {written(value)}, normal {span}")


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _number(value: float) -> str:
    return f"{value:,g}"


def _two(value: float) -> str:
    return f"{value:.2f}"


def _share(value: float) -> str:
    return f"{value:.0%}"


def _many(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
