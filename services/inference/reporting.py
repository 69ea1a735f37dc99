"""How good an episode is: its figures beside those of the show's real talk, and what the model itself makes of it."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from services.inference.learnt import recited
from services.inference.scoring import Scorer
from services.inference.writing import Desk
from shared.conversation import spoken_of
from shared.errors import EngineRefusedError
from shared.lengths import sample
from shared.manner import manner_of
from shared.report import Spoken, measure
from shared.schemas import Adapter, EpisodeTurn, Likelihood, LikelyAnswer, Report

log = logging.getLogger(__name__)


def report_of(turns: Sequence[EpisodeTurn], desk: Desk, adapter: Adapter | None) -> Report:
    """The report of a whole episode, with the store and the engine that it was written with."""
    desk.means.job.progress("measuring")
    show, settings = desk.show, desk.settings
    real = [spoken_of(transcript) for transcript in sample(desk.means.store, show.slug)]
    scorer = Scorer(desk.means, desk.adapter, desk.plain_header(), settings.scoring_tokens, settings.max_model_len)
    likelihood, answers = read_again(scorer, turns, adapter)
    return measure(
        [Spoken(turn.role, turn.text, turn.closed) for turn in turns],
        target_words=desk.target,
        recited=recited(turns, desk.learnt, desk.means.store, show.slug),
        manner=manner_of(real),
        facts=given_to(desk),
        likelihood=likelihood,
        likely_answers=answers,
    )


def read_again(
    scorer: Scorer, turns: Sequence[EpisodeTurn], adapter: Adapter | None
) -> tuple[Likelihood | None, tuple[LikelyAnswer, ...] | None]:
    """What the model makes of it; None of both where the engine does not tell log-probabilities of prompts, as some
    fleets do not: an episode is whole without them."""
    try:
        return scorer.likelihood(turns, adapter), scorer.likely_answers(turns)
    except EngineRefusedError as error:
        log.warning("the report goes without perplexities: %s", error)
        return None, None


def given_to(desk: Desk) -> tuple[str, ...] | None:
    """All that the model was told about the guest and the talk; None without facts, when nothing can be checked."""
    if not desk.commission.facts:
        return None
    brief = desk.brief
    names = (brief.guest, desk.show.host, desk.show.title)
    plan = [text for chapter in brief.plan for text in (chapter.title, *chapter.beats)]
    return (*desk.commission.facts, brief.about, desk.show.about, *names, *plan)
