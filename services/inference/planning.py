"""The plan of an episode: chapters and what is talked about in each, as the base model sees it, checked and retried.

The model fills in a JSON schema, so that its answer can always be read; what it repeats is dropped and asked for again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from services.inference.engine import Ask
from services.inference.means import Means
from services.inference.writing import seed_for
from shared.errors import BadInputError, NothingUsableError
from shared.schemas import Commission, EpisodeRequest, Message, PlannedChapter, Show
from shared.spoken import spelt

PLANNED_FROM_WORDS = 600  # a shorter episode is one chapter, and needs no plan
CHAPTER_WORDS = 1100
MOST_CHAPTERS, MOST_IN_PLAN = 12, 40  # of those that are planned at once; of a plan that was made longer and longer
BEATS = 4
ATTEMPTS = 4
PLAN_TOKENS, PLAN_TEMPERATURE = 600, 0.7
TITLE_LETTERS, BEAT_LETTERS = (4, 60), (12, 140)

AskFor = Callable[[str, dict[str, Any], int], str]
"""An instruction, the JSON schema of the answer, the number of the attempt -> the answer."""


@dataclass(frozen=True)
class About:
    """What there is to plan with."""

    show: Show
    brief: EpisodeRequest
    facts: Sequence[str]


def chapters_for(words: int) -> int:
    """How many chapters an episode of so many words has; 0 where it needs none."""
    return 0 if words < PLANNED_FROM_WORDS else min(MOST_CHAPTERS, max(2, round(words / CHAPTER_WORDS)))


def plan(
    about: About, ask: AskFor, progress: Callable[[int, int], None], before: Sequence[PlannedChapter] = ()
) -> tuple[PlannedChapter, ...]:
    """Chapters for the words that the brief asks for and the chapters `before` do not fill.

    ask        puts a question to the base model
    progress   told how many chapters of how many have their beats
    before     chapters that are written already; they stay, with their lengths
    raises     NothingUsableError if no attempt gave a title
    """
    words = (about.brief.words or 0) - sum(chapter.words or 0 for chapter in before)
    wanted = min(MOST_IN_PLAN - len(before), max(1, chapters_for(words))) if before else chapters_for(words)
    if wanted == 0:
        return tuple(before)
    instruction = _titles_instruction(about, wanted, before)
    titles = _distinct(instruction, ask, wanted, TITLE_LETTERS, [one.title for one in before])
    if not titles:
        raise NothingUsableError(
            f"the base model made no plan in {ATTEMPTS} attempts; give one of your own as `plan` in the brief"
        )
    chapters: list[PlannedChapter] = []
    for number, title in enumerate(titles):
        progress(number, len(titles))
        used = [beat for chapter in (*before, *chapters) for beat in chapter.beats]
        beats = _distinct(_beats_instruction(about, titles, title), ask, BEATS, BEAT_LETTERS, used)
        chapters.append(PlannedChapter(title=title, beats=tuple(beats)))
    return (*before, *chapters)


def _distinct(instruction: str, ask: AskFor, wanted: int, letters: tuple[int, int], known: Sequence[str]) -> list[str]:
    """So many texts that say different things, of as many attempts as that takes; fewer if none gives enough."""
    found: list[str] = []
    for attempt in range(ATTEMPTS):
        seen = [_essence(text) for text in (*known, *found)]
        for text in _texts(ask(instruction, _schema(wanted, letters), attempt)):
            if (essence := _essence(text)) and essence not in seen and len(found) < wanted:
                found.append(text[: letters[1]])
                seen.append(essence)
        if len(found) == wanted:
            break
    return found


def _texts(answer: str) -> list[str]:
    """The texts of an answer; none where it broke off."""
    try:
        found = json.loads(answer)
    except ValueError:
        return []
    items = found.get("items") if isinstance(found, dict) else None
    return [" ".join(text.split()) for text in items if isinstance(text, str)] if isinstance(items, list) else []


def _essence(text: str) -> tuple[str, ...]:
    return tuple(token for word in text.split() for token in spelt(word))


def _schema(count: int, letters: tuple[int, int]) -> dict[str, Any]:
    text = {"type": "string", "minLength": letters[0], "maxLength": letters[1]}
    return {
        "type": "object",
        "properties": {"items": {"type": "array", "minItems": count, "maxItems": count, "items": text}},
        "required": ["items"],
        "additionalProperties": False,
    }


def _titles_instruction(about: About, count: int, before: Sequence[PlannedChapter]) -> str:
    done = f" It has these chapters already: {'; '.join(one.title for one in before)}." if before else ""
    more = "more " if before else ""
    return (
        f"{_subject(about)}{done}\n\nName {count} {more}chapters of this conversation, in a good order, each about "
        "something else. Answer in JSON, with their titles as items."
    )


def _beats_instruction(about: About, titles: Sequence[str], title: str) -> str:
    return (
        f"{_subject(about)}\nIts chapters: {'; '.join(titles)}.\n\nIn the chapter “{title}”, which {BEATS} things does "
        f"{about.show.host} ask {about.brief.guest} about? Answer in JSON, with one short sentence for each as items."
    )


def _subject(about: About) -> str:
    brief = about.brief
    lines = [f"The podcast {about.show.title}: {about.show.host} talks with {brief.guest} for a whole episode."]
    lines += [f"It is about: {brief.about}"] if brief.about else []
    lines += [f"How they talk: {brief.tone}"] if brief.tone else []
    lines += [f"True of {brief.guest}: {fact}" for fact in about.facts]
    return "\n".join(lines)


# ---- by the base model -----------------------------------------------------------------------------------------------


def planned(commission: Commission, show: Show, means: Means) -> Commission:
    """The commission with chapters: those of the brief, or as the base model plans them."""
    brief, job, engine, settings = commission.brief, means.job, means.engine, means.settings
    kept = brief.plan if commission.given else ()
    if brief.plan and not kept:
        return commission

    def ask(instruction: str, schema: dict[str, Any], attempt: int) -> str:
        prompt = engine.renderer.prompt([Message(role="host", text=instruction)], "guest")
        most = settings.max_model_len - len(prompt)
        if most < PLAN_TOKENS // 2:
            raise BadInputError(
                f"the brief leaves {most} of {settings.max_model_len} tokens for its plan; shorten `about` and "
                "`facts`, give a `plan` of your own, or raise INFERENCE_MAX_MODEL_LEN"
            )
        wanted = Ask(
            prompt=prompt,
            stop_ids=engine.renderer.stop_ids("guest"),
            min_tokens=1,
            max_tokens=min(most, PLAN_TOKENS),
            temperature=PLAN_TEMPERATURE,
            top_p=settings.top_p,
            seed=seed_for(brief.seed, -1 - attempt, len(instruction)),
            kind="plan",
            schema=schema,
        )
        [answer] = engine.say(None, wanted, job)
        return answer.text

    def progress(done: int, total: int) -> None:
        job.check()
        job.progress("planning", done, total, "chapters")
        engine.make_way(job)

    job.progress("planning")
    chapters = plan(About(show, brief, commission.facts), ask, progress, kept)
    return commission.model_copy(update={"brief": brief.model_copy(update={"plan": chapters})})
