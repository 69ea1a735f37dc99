"""How good an episode is: its figures beside those of the show's real talk, and what the model itself makes of it."""

from __future__ import annotations

from collections.abc import Sequence

from services.inference.learnt import recited
from services.inference.scoring import Scorer
from services.inference.writing import Desk
from shared.conversation import spoken_of
from shared.lengths import sample
from shared.manner import manner_of
from shared.report import Spoken, measure
from shared.schemas import Adapter, EpisodeTurn, Report


def report_of(turns: Sequence[EpisodeTurn], desk: Desk, adapter: Adapter | None) -> Report:
    """The report of a whole episode, with the store and the engine that it was written with."""
    desk.job.progress("measuring")
    show, settings = desk.show, desk.settings
    real = [spoken_of(transcript) for transcript in sample(desk.store, show.slug)]
    scorer = Scorer(
        desk.engine, desk.adapter, desk.plain_header(), desk.job, settings.scoring_tokens, settings.max_model_len
    )
    return measure(
        [Spoken(turn.role, turn.text, turn.closed) for turn in turns],
        target_words=desk.target,
        recited=recited(turns, desk.learnt, desk.store, show.slug),
        manner=manner_of(real),
        facts=given_to(desk),
        likelihood=scorer.likelihood(turns, adapter),
        likely_answers=scorer.likely_answers(turns),
    )


def given_to(desk: Desk) -> tuple[str, ...] | None:
    """All that the model was told about the guest and the talk; None without facts, when nothing can be checked."""
    if not desk.commission.facts:
        return None
    brief = desk.brief
    names = (brief.guest, desk.show.host, desk.show.title)
    plan = [text for chapter in brief.plan for text in (chapter.title, *chapter.beats)]
    return (*desk.commission.facts, brief.about, desk.show.about, *names, *plan)
