"""What a careful reader would find in a conversation, as figures, each beside its normal range. Pure.

`measure` makes the figures of `shared.schemas.Report`; `lines` puts them beside what is normal: of the show's real
talk where enough of it is known (`shared/manner.py`), else of any. What is not normal becomes a finding, and the
gravest of them the verdict. How repetition is counted: `shared/repetition.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import IntEnum, auto
from itertools import pairwise
from typing import Literal

from shared import claims
from shared.adverts import advert_words
from shared.bleed import answers_itself
from shared.conversation import Role as Role
from shared.conversation import Spoken as Spoken
from shared.figures import Talk, figures_of
from shared.manner import distance, tells
from shared.quarters import quarters_of, where
from shared.repetition import compression_by_tenth, longest_repeat, repetition, rise, tail_repetition, worst_window
from shared.schemas import Claim, Likelihood, LikelyAnswer, Manner, RecitedSpan, Report, Spread

Grade = Literal["ok", "look", "bad"]
MadeBy = Literal["model", "people"]

LENGTH_TOLERANCE = 0.10
FEW_REPLIES = 2  # one-word replies that are no habit, whatever their share
ENOUGH_TURNS, ENOUGH_WORDS = 8, 1000  # with less of both, shares and medians tell nothing
CLEAR_MARGIN = 0.5  # nats per token: a sentence that is likelier by more is the guest's
SHOWN_CLAIMS = 5
VERDICT_WORDS, WORDS_AROUND = 25, 6  # "worth a look: ... and 9 more"
TWO, TEN = 2, 10
NO_SHEET = "not checked: no fact sheet"


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
PERPLEXITY = (0.5, 2.0)  # times that of real turns


class Topic(IntEnum):
    """What a line is about, the gravest first: the order of the verdict."""

    NOTHING = auto()
    REPETITION = auto()
    ANSWERS = auto()
    RECITED = auto()
    ROLES = auto()
    ENDS = auto()
    ADVERTS = auto()
    LENGTH = auto()
    REPLIES = auto()
    WORDING = auto()
    SHARES = auto()
    CLAIMS = auto()


@dataclass(frozen=True)
class Line:
    """One figure for people.

    finding   what is out of the ordinary; empty where nothing is
    gist      the same in a few words without a comma, for the verdict
    show      the same figure in the show's real talk (median), where that is known
    """

    label: str
    value: str
    normal: str = ""
    grade: Grade = "ok"
    finding: str = ""
    topic: Topic = Topic.SHARES
    gist: str = ""
    show: str = ""


# ---- the figures -----------------------------------------------------------------------------------------------------


def measure(
    turns: Sequence[Spoken],
    *,
    target_words: int | None = None,
    eos_runs: int = 0,
    made_by: MadeBy = "model",
    recited: tuple[RecitedSpan, ...] | None = None,
    manner: Manner | None = None,
    facts: Sequence[str] | None = None,
    likelihood: Likelihood | None = None,
    likely_answers: tuple[LikelyAnswer, ...] | None = None,
    unsourced: tuple[Claim, ...] | None = None,
) -> Report:
    """All figures of one conversation, what is out of the ordinary, and a verdict in one line.

    target_words     how long it was to be, where that is known
    eos_runs         end-of-sequence tokens in runs, as whoever read the text counted them
    made_by          of people nobody asks that they take turns, or that there are only two
    recited          what is taken from training recordings; None: nobody looked
    manner           the show's real talk (`manner.manner_of`); None: what is normal anywhere
    facts            all that was given: fact sheet, what the talk is about, names of guest, host and show; None: there
                     was no sheet, and what is said cannot be checked
    likelihood, likely_answers   what a model measured; None: nobody looked
    unsourced        what was found before to be in no fact sheet, where the sheet is not at hand
    """
    talk = Talk.of(turns)
    words = talk.all_words
    tenths = compression_by_tenth(words)
    hosted = any(turn.role == "host" for turn in turns)
    answers = sum(answers_itself(turn.text) for turn in turns if turn.role == "host")
    report = Report(
        words=len(words),
        turns=len(turns),
        speakers=len({_who(turn) for turn in turns}),
        alternates=all(_who(turn) != _who(following) for turn, following in pairwise(turns)),
        starts_with_host=bool(turns) and turns[0].role == "host",
        empty_turns=sum(not said for said in talk.words),
        unclosed=sum(not turn.closed for turn in turns),
        eos_runs=eos_runs,
        rep4=round(repetition(words, 4), 3),
        worst_window_rep4=round(worst_window(words), 3),
        tail_rep4=round(tail_repetition(words), 3),
        longest_repeat_words=longest_repeat(words),
        compression=tuple(round(ratio, 2) for ratio in tenths),
        compression_rise=round(rise(tenths), 2) if tenths else None,
        answers_in_host_turns=answers if hosted else None,
        advert_words=tuple(phrase for turn in turns for phrase in advert_words(turn.text)),
        **asdict(figures_of(talk)),
        host_distance=distance(talk.words_by("host"), manner.host_words) if manner else None,
        guest_distance=distance(talk.words_by("guest"), manner.guest_words) if manner else None,
        length_score=None if target_words is None else round(length_score(len(words), target_words), 1),
        unsourced=unsourced if facts is None else claims.unsourced(turns, facts),
        likelihood=likelihood,
        answers_by_likelihood=likely_answers,
        recited=recited,
        quarters=quarters_of(talk, recited),
        manner=manner,
        verdict="",
    )
    seen = lines(report, target_words=target_words, made_by=made_by)
    findings = tuple(line.finding for line in seen if line.finding)
    return report.model_copy(update={"findings": findings, "verdict": verdict(seen, report.words)})


def length_score(words: int, target: int) -> float:
    """100 for a text of the length that was asked for, less for a longer one, and still less for a shorter one.

    source   S_l of LongWriter, arXiv 2408.07055
    """
    if not words or not target:
        return 0.0
    if words > target:
        return 100 * max(0.0, 1 - (words / target - 1) / 3)
    return 100 * max(0.0, 1 - (target / words - 1) / 2)


def _who(turn: Spoken) -> str:
    return turn.speaker or turn.role or ""


# ---- the verdict -----------------------------------------------------------------------------------------------------


def verdict(seen: Sequence[Line], words: int) -> str:
    """One line for people, of 25 words at most: what is wrong, or worth a look, or that nothing is."""
    faults, doubts = _gists(seen, "bad"), _gists(seen, "look")
    if faults:
        return f"not usable: {_listed(faults)}"
    if doubts:
        return f"worth a look: {_listed(doubts)}"
    return f"sound, {_many(words, 'word')}: nothing out of the ordinary"


def _gists(seen: Sequence[Line], grade: Grade) -> list[str]:
    """What is found, the gravest first; a loop that shows in five figures is named once."""
    found: dict[Topic | str, str] = {}
    for line in sorted((line for line in seen if line.finding and line.grade == grade), key=lambda line: line.topic):
        found.setdefault(line.topic if line.topic == Topic.REPETITION else line.label, line.gist)
    return list(found.values())


def _listed(gists: Sequence[str]) -> str:
    """As many as 25 words hold, and how many there are besides."""
    shown: list[str] = []
    for gist in gists:
        if shown and len(" ".join([*shown, gist]).split()) > VERDICT_WORDS - WORDS_AROUND:
            return f"{', '.join(shown)} and {len(gists) - len(shown)} more"
        shown.append(gist)
    return ", ".join(shown)


# ---- what is normal --------------------------------------------------------------------------------------------------


def lines(report: Report, *, target_words: int | None = None, made_by: MadeBy = "model") -> list[Line]:
    """The figures in reading order, each with its normal range and a grade."""
    return [
        *_structure(report, target_words, made_by),
        *_repetition(report),
        *_said(report, made_by),
        *_manner(report),
        *_wording(report),
    ]


def _structure(report: Report, target_words: int | None, made_by: MadeBy) -> Iterator[Line]:
    yield from _length(report, target_words)
    none = _fault("turns", "0", "1 or more", "there are no turns", Topic.NOTHING)
    yield Line("turns", f"{report.turns:,}") if report.turns else none
    if made_by == "model":
        yield _must(report.alternates, "host and guest alternate", "host and guest do not alternate")
        yield _must(report.starts_with_host or not report.turns, "the host speaks first", "the guest speaks first")
    empty = _many(report.empty_turns, "empty turn")
    yield _high("empty turns", report.empty_turns, NONE, _whole, empty, Topic.ENDS, empty)
    unclosed = _many(report.unclosed, "unclosed turn")
    finding = f"{unclosed}: broken off without an end mark"
    yield _high("unclosed turns", report.unclosed, NONE, _whole, finding, Topic.ENDS, unclosed)
    runs = report.eos_runs or 0
    finding = f"{runs:,} end marks (</s>) in runs of three or more"
    yield _high("end marks in runs", runs, NONE, _whole, finding, Topic.ENDS, f"{runs:,} end marks in runs")


def _repetition(report: Report) -> Iterator[Line]:
    yield from _repeated(report)
    longest = report.longest_repeat_words
    label, finding = "longest repeated span, words", f"longest repeated span: {longest:,} words in a row"
    yield _high(label, longest, LONGEST, _whole, finding, Topic.REPETITION, "repeats a passage")
    if report.compression_rise is not None:
        finding = f"grows monotonous: a tenth of it packs {report.compression_rise:.1f} times as well as the first"
        label = "most compressible tenth against the first"
        yield _high(label, report.compression_rise, RISE, _two, finding, Topic.REPETITION, "grows monotonous")


def _repeated(report: Report) -> Iterator[Line]:
    manner, quarters = report.manner, report.quarters
    window, window_show = _up_to(WINDOW, "worst_window_rep4", manner, _two)
    circles = where(quarters, lambda quarter: quarter.worst_window_rep4 > window.look)

    whole, whole_show = _up_to(REP4, "rep4", manner, _two)
    there = where(quarters, lambda quarter: quarter.rep4 > whole.look)
    finding = _at(f"repeats itself: {report.rep4:.0%} of its runs of four words were said before", there, ", ")
    worst = where(quarters, lambda quarter: quarter.worst_window_rep4 > window.bad)
    gist = _at("repeats itself", worst or circles or there)
    label = "repeated 4-grams, whole text (rep-4)"
    yield _high(label, report.rep4, whole, _two, finding, Topic.REPETITION, gist, whole_show)

    share = report.worst_window_rep4
    finding = f"{_at('goes round in circles', circles)}: {share:.0%} of its worst 200 words repeats"
    label = "repeated 4-grams, worst 200 words"
    yield _high(label, share, window, _two, finding, Topic.REPETITION, gist, window_show)

    if report.tail_rep4 is not None:
        tail, tail_show = _up_to(TAIL, "tail_rep4", manner, _two)
        finding = f"repeats itself at the end: {report.tail_rep4:.0%} of the last fifth"
        label = "repeated 4-grams, last fifth"
        gist = "repeats itself at the end"
        yield _high(label, report.tail_rep4, tail, _two, finding, Topic.REPETITION, gist, tail_show)


def _said(report: Report, made_by: MadeBy) -> Iterator[Line]:
    yield _one_word(report)
    quarters = report.quarters
    if report.answers_in_host_turns is not None:
        there = where(quarters, lambda quarter: bool(quarter.answers_in_host_turns))
        gist = f"{_many(report.answers_in_host_turns, 'host turn')} with the guest's answer"
        label, finding = "host turns that answer themselves", _at(f"{gist} in it", there, ", ")
        yield _high(label, report.answers_in_host_turns, ANSWERS, _whole, finding, Topic.ANSWERS, gist)
    if report.answers_by_likelihood is not None:
        yield _likely_answers(report.answers_by_likelihood)
    if report.recited is not None:
        words = sum(span.last_word - span.first_word for span in report.recited)
        recordings = len({span.recording for span in report.recited})
        gist = f"recites {words} words of {_many(recordings, 'training recording')}"
        finding = _at(gist, where(quarters, lambda quarter: bool(quarter.recited_words)))
        yield _high("words recited from training recordings", words, RECITED, _whole, finding, Topic.RECITED, gist)
    phrases = ", ".join(f"“{phrase}”" for phrase in dict.fromkeys(report.advert_words))
    there = where(quarters, lambda quarter: quarter.advert_words > 0)
    label, gist = "advert phrases", _at("advert words", there)
    yield _high(label, len(report.advert_words), ADVERTS, _whole, f"{gist}: {phrases}", Topic.ADVERTS, gist)
    if made_by == "model":
        yield _claims(report)


def _one_word(report: Report) -> Line:
    normal, show = _up_to(ONE_WORD, "one_word_share", report.manner, _share)
    there = where(report.quarters, lambda quarter: quarter.one_word_share > normal.look)
    finding = _at(f"one-word replies: {report.one_word_share:.0%} of the guest's turns", there)
    gist = _at(f"{report.one_word_share:.0%} one-word replies", there)
    label = "one-word replies of the guest"
    line = _high(label, report.one_word_share, normal, _share, finding, Topic.REPLIES, gist, show)
    is_habit = report.one_word_replies is None or report.one_word_replies > FEW_REPLIES
    return line if is_habit else Line(label, line.value, f"{line.normal}, or {FEW_REPLIES} replies", show=show)


def _likely_answers(found: Sequence[LikelyAnswer]) -> Line:
    """One may be chance; three that are clearly the guest's are not."""
    clear = sum(answer.margin > CLEAR_MARGIN for answer in found)
    grade: Grade = "bad" if clear > ANSWERS.bad else "look" if found else "ok"
    gist = f"{_many(len(found), 'host sentence')} likelier as the guest's"
    first = f"{gist}, the clearest: “{max(found, key=lambda one: one.margin).text}”" if found else ""
    return Line("host sentences likelier as the guest's", f"{len(found)}", "0", grade, first, Topic.ANSWERS, gist)


def _claims(report: Report) -> Line:
    """Never bad: nobody knows whether it is untrue."""
    label = "names and numbers not in the fact sheet"
    if report.unsourced is None:
        return Line("claims", NO_SHEET)
    found = [f"“{claim.text}”" for claim in report.unsourced]
    more = f" and {len(found) - SHOWN_CLAIMS} more" if len(found) > SHOWN_CLAIMS else ""
    finding = f"{label}: {', '.join(found[:SHOWN_CLAIMS])}{more}" if found else ""
    gist = f"{len(found)} {label}"
    return Line(label, f"{len(found)}", "0", "look" if found else "ok", finding, Topic.CLAIMS, gist)


def _manner(report: Report) -> Iterator[Line]:
    """How host and guest share the talk; without a range where there are more than two, or hardly any talk."""
    known: tuple[tuple[str, str, float | None, tuple[float, float] | None, Callable[[float], str]], ...] = (
        ("host's share of the words", "host_share", report.host_share, HOST_SHARE, _share),
        ("median host turn, words", "host_median_words", report.host_median_words, HOST_MEDIAN, _number),
        ("median guest turn, words", "guest_median_words", report.guest_median_words, GUEST_MEDIAN, _number),
        ("host turns that ask", "host_question_share", report.host_question_share, QUESTION_SHARE, _share),
        ("ums of the host, per 100 words", "host_disfluencies", report.host_disfluencies, None, _one),
        (
            "ums of the guest, per 100 words",
            "guest_disfluencies",
            report.guest_disfluencies,
            None,
            _one,
        ),
    )
    judged = report.speakers == TWO and (report.turns >= ENOUGH_TURNS or report.words >= ENOUGH_WORDS)
    for label, figure, value, anywhere, written in known:
        if value is not None:
            spread = report.manner.ranges.get(figure) if report.manner else None
            real = (spread.low, spread.high) if spread and tells(report.manner) else anywhere
            yield _between(label, value, real if judged else None, written, spread)
    for who, away in (("host", report.host_distance), ("guest", report.guest_distance)):
        if away is not None and report.manner is not None:
            yield _distance(who, away, report.manner, judged)
    if report.compression:
        yield Line("compression by tenth", " ".join(f"{ratio:.1f}" for ratio in report.compression))


def _distance(who: str, away: float, manner: Manner, judged: bool) -> Line:
    """Nearer than the show's own people are to each other is no fault."""
    label = f"function words of the {who}, distance to the show's"
    spread = manner.ranges.get(f"{who}_distance")
    if spread is None or not judged or not tells(manner):
        return Line(label, _two(away), show=_two(spread.median) if spread else "")
    gist = f"the {who} talks unlike the show's {who}{'s' if who == 'guest' else ''}"
    finding = f"{gist}: function words {away:.2f} away, real ones up to {spread.high:.2f}"
    return _high(label, away, Range(spread.high, float("inf")), _two, finding, Topic.WORDING, gist, _two(spread.median))


def _wording(report: Report) -> Iterator[Line]:
    """How surprising the words are to the model; beside real talk that it has not learnt from, where that is known."""
    found = report.likelihood
    if found is None:
        return
    show = f"{found.real_perplexity:.1f}" if found.real_perplexity else ""
    label = "how surprising the wording is (perplexity)"
    if found.real_perplexity is None:
        yield Line(label, _one(found.perplexity))
    else:
        low, high = (times * found.real_perplexity for times in PERPLEXITY)
        normal = f"{low:.1f} to {high:.1f}"
        odd = "predictable" if found.perplexity < low else "surprising" if found.perplexity > high else ""
        gist = f"wording far more {odd} than real talk" if odd else ""
        finding = f"{gist}: perplexity {found.perplexity:.1f}, real turns {found.real_perplexity:.1f}" if odd else ""
        yield Line(label, _one(found.perplexity), normal, "look" if odd else "ok", finding, Topic.WORDING, gist, show)
    for of, value, real in (
        ("host turns", found.host_perplexity, None),
        ("guest turns", found.guest_perplexity, None),
        ("all turns under the base model", found.base_perplexity, found.real_base_perplexity),
    ):
        if value is not None:
            yield Line(f"perplexity of {of}", _one(value), show=f"{real:.1f}" if real else "")


def _up_to(anywhere: Range, figure: str, manner: Manner | None, written: Callable[[float], str]) -> tuple[Range, str]:
    """What is normal of the show, else of any, and the show's median; what spoils an episode does so in any show."""
    spread = manner.ranges.get(figure) if manner else None
    if spread is None:
        return anywhere, ""
    normal = Range(spread.high, max(anywhere.bad, spread.high)) if tells(manner) else anywhere
    return normal, written(spread.median)


# ---- lines -----------------------------------------------------------------------------------------------------------


def _length(report: Report, target: int | None) -> Iterator[Line]:
    spread = report.manner.ranges.get("words") if report.manner else None
    words, show = report.words, f"{spread.median:,.0f}" if spread else ""
    if target is None:
        yield Line("words", f"{words:,}", show=show)
        return
    normal = f"{target:,} ± {LENGTH_TOLERANCE:.0%}"
    off = abs(words - target) > LENGTH_TOLERANCE * target
    finding = f"{words:,} words instead of {target:,}" if off else ""
    grade: Grade = "bad" if off else "ok"
    yield Line("words", f"{words:,}", normal, grade, finding, Topic.LENGTH, finding, show)
    if report.length_score is not None:
        least = length_score(round((1 - LENGTH_TOLERANCE) * target), target)
        yield Line("length score (LongWriter's S_l), of 100", _one(report.length_score), f"{least:.0f} or more", grade)


def _must(holds: bool, label: str, finding: str) -> Line:
    return Line(label, "yes", "yes") if holds else _fault(label, "no", "yes", finding, Topic.ROLES)


def _fault(label: str, value: str, normal: str, finding: str, topic: Topic) -> Line:
    return Line(label, value, normal, "bad", finding, topic, finding)


def _high(
    label: str,
    value: float,
    normal: Range,
    written: Callable[[float], str],
    finding: str,
    topic: Topic,
    gist: str,
    show: str = "",
) -> Line:
    grade = normal.grade(value)
    up_to = f"up to {written(normal.look)}" if normal.look else written(0)
    return Line(label, written(value), up_to, grade, "" if grade == "ok" else finding, topic, gist, show)


def _between(
    label: str,
    value: float,
    normal: tuple[float, float] | None,
    written: Callable[[float], str],
    real: Spread | None,
) -> Line:
    show = written(real.median) if real else ""
    if normal is None:
        return Line(label, written(value), show=show)
    low, high = normal
    span = f"{written(low)} to {written(high)}"
    if low <= value <= high:
        return Line(label, written(value), span, show=show)
    gist = f"{label.replace(', ', ' in ')} {written(value)}"
    finding = f"{label}: {written(value)}, normal {span}"
    return Line(label, written(value), span, "look", finding, Topic.SHARES, gist, show)


def _at(said: str, place: str, between: str = " ") -> str:
    return f"{said}{between}{place}" if place else said


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= TEN or value == round(value) else f"{value:.1f}"


def _one(value: float) -> str:
    return f"{value:.1f}"


def _two(value: float) -> str:
    return f"{value:.2f}"


def _share(value: float) -> str:
    return f"{value:.0%}"


def _many(count: int, thing: str) -> str:
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"
