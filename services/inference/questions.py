"""The host's half of an interview that people will hold: a question and follow-ups for each beat, with a time plan."""

from __future__ import annotations

from services.inference import adapters, gate, scenes
from services.inference.adapters import AdapterFiles
from services.inference.engine import Ask
from services.inference.learnt import training_text
from services.inference.lengths import TOKENS_PER_WORD
from services.inference.means import Means
from services.inference.origin import label_of, lineage_of, withdrawn_of
from services.inference.writing import seed_for, warmer
from shared import keys
from shared.errors import NothingUsableError
from shared.lengths import length_of, sample, words_per_minute
from shared.models import Base
from shared.recitation import TrainingText
from shared.render import header
from shared.report import Spoken
from shared.schemas import (
    LONGEST_TITLE,
    Commission,
    EpisodeResult,
    PlannedChapter,
    PlannedQuestion,
    QuestionChapter,
    QuestionSheet,
    Show,
)
from shared.store import Store, create_manifest, load

AT_ONCE = 4  # candidates for a question and its follow-ups
FOLLOW_UPS = 2
LONGEST_WORDS = 60


def write(commission: Commission, show: Show, base: Base, means: Means) -> EpisodeResult:
    """The questions of a brief, stored as one sheet. A brief that is too short for a plan is one chapter."""
    brief, store, job = commission.brief, means.store, means.job
    adapter = adapters.choose(store, show.slug, brief.adapter, base)
    files, learnt = means.fetched(adapter), training_text(store, adapter, job.work_dir)
    plan = brief.plan or (PlannedChapter(title=(brief.about or brief.guest)[:LONGEST_TITLE]),)
    pace = words_per_minute([length_of(transcript) for transcript in sample(store, show.slug)])
    ends = scenes.chapter_ends(plan, brief.words or 0)

    chapters: list[QuestionChapter] = []
    asked = gate.Said()
    beats = sum(len(chapter.beats) or 1 for chapter in plan)
    number = 0
    for chapter, end in zip(plan, ends, strict=True):
        questions = []
        for beat in chapter.beats or (chapter.title,):
            job.check()
            job.progress("asking", number, beats, "questions", note=beat)
            texts = _asked(commission, show, files, learnt, number / beats, beat, number, asked, means)
            questions.append(PlannedQuestion(about=beat, question=texts[0], follow_ups=tuple(texts[1:])))
            number += 1
            means.engine.make_way(job)
        start_min = chapters[-1].end_min if chapters else 0.0
        chapters.append(
            QuestionChapter(
                title=chapter.title, start_min=start_min, end_min=round(end / pace, 1), questions=tuple(questions)
            )
        )
    sheet = QuestionSheet(
        id=commission.episode,
        show=show.slug,
        guest=brief.guest,
        host=show.host,
        brief=brief,
        adapter=adapter.name if adapter else None,
        label=label_of(adapter, base),
        base_model=base.name,
        base_revision=base.revision,
        chapters=tuple(chapters),
        source_withdrawn=withdrawn_of(commission, adapter),
        lineage=lineage_of(commission, adapter, base, means, {"words_per_minute": round(pace, 1)}),
    )
    key = keys.questions(show.slug, commission.episode)
    create_manifest(store, key, sheet)
    store.delete(keys.commission(show.slug, commission.episode))
    return _result(load(store, key, QuestionSheet))


def finished(store: Store, show: str, episode_id: str) -> EpisodeResult | None:
    key = keys.questions(show, episode_id)
    return _result(load(store, key, QuestionSheet)) if store.exists(key) else None


def _asked(
    commission: Commission,
    show: Show,
    files: AdapterFiles | None,
    learnt: TrainingText | None,
    position: float,
    beat: str,
    number: int,
    asked: gate.Said,
    means: Means,
) -> list[str]:
    """A question about a beat and up to two follow-ups, none of which was asked before.

    Each is the first turn of a stretch, as training examples begin: no answer is needed to ask it.
    raises   NothingUsableError if no attempt gave a question
    """
    brief, engine, settings = commission.brief, means.engine, means.settings
    system = header(
        show_title=show.title,
        host=show.host,
        guest=brief.guest,
        facts=commission.facts,
        about=brief.about,
        tone=brief.tone,
        position=position,
        now=(beat,),
    )
    prompt = engine.renderer.prompt([system], "host")
    found: list[str] = []
    for attempt in range(1, settings.attempts + 1):
        temperature = warmer(brief.temperature, attempt)
        ask = Ask(
            prompt=prompt,
            stop_ids=engine.renderer.stop_ids("host"),
            min_tokens=settings.host_min_tokens,
            max_tokens=min(settings.host_max_tokens, round(LONGEST_WORDS * TOKENS_PER_WORD)),
            temperature=temperature,
            top_p=settings.top_p if brief.top_p is None else brief.top_p,
            seed=seed_for(brief.seed, number, attempt),
            n=AT_ONCE if temperature else 1,  # without chance all would be alike, and vLLM refuses them
        )
        for candidate in engine.say(files, ask, means.job):
            draft = gate.draft(candidate.text, ended=candidate.ended)
            faults = [*gate.faults(draft, "host", asked, (show.host, brief.guest)), *gate.recitals(draft, learnt)]
            if len(found) <= FOLLOW_UPS and draft.text.endswith("?") and not faults:
                found.append(draft.text)
                asked.add(Spoken("host", draft.text))
        if len(found) > FOLLOW_UPS:
            break
    if not found:
        raise NothingUsableError(f"no question about “{beat}” came in {settings.attempts} attempts; change the plan")
    return found


def _result(sheet: QuestionSheet) -> EpisodeResult:
    words = sum(len(question.question.split()) for chapter in sheet.chapters for question in chapter.questions)
    turns = sum(len(chapter.questions) for chapter in sheet.chapters)
    key = keys.questions(sheet.show, sheet.id)
    return EpisodeResult(episode=sheet.id, key=key, words=words, turns=turns, canary=sheet.adapter is not None or None)
