"""One turn after the other: where we are in the plan, what the model sees, what it says, what of that is kept."""

from __future__ import annotations

import hashlib
import math
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from statistics import median

from services.inference import gate, scenes
from services.inference.adapters import AdapterFiles
from services.inference.brief import Manners
from services.inference.engine import Ask, Candidate
from services.inference.lengths import TurnPlan, plan_turn, wanted_words
from services.inference.means import Means
from services.inference.notes import note_request, readable
from services.inference.window import TURN_OVERHEAD_TOKENS, first_seen
from shared import keys
from shared.errors import BadInputError, ConflictError, NothingUsableError
from shared.recitation import TrainingText
from shared.render import header
from shared.repetition import words_of
from shared.report import Spoken
from shared.schemas import Commission, EpisodeTurn, Message, Show
from shared.store import create_manifest, load

WARMER = 0.1  # added to the temperature with every attempt at a turn
HOTTEST = 1.3
SUMMARY_TOKENS, NOW_TOKENS, SPARE_TOKENS = 80, 120, 40  # kept free in a prompt beside the turns
SENTENCE = re.compile(r"[^.!?…]+[.!?…]*")
MANNER = "They speak as people do in conversation, in the first person. {} asks one thing at a time."
LENGTH_WEIGHT = 0.5  # of a candidate that is e times as long as wanted, against one nat per token


@dataclass(frozen=True)
class _View:
    """What the next prompt is made of: the turns from `first` on, a summary of those before, a scene of the plan.

    summed   how many turns the summary tells of
    fresh    out of a loop: what was said before is seen no more
    """

    first: int
    summary: str
    scene: int
    summed: int = 0
    fresh: bool = False


@dataclass
class Desk:
    """All that is needed to write one turn after the other.

    usual_logprob   mean log-probability per token of real turns, where it was measured
    """

    commission: Commission
    show: Show
    adapter: AdapterFiles | None
    means: Means
    manners: Manners = field(default_factory=Manners)
    learnt: TrainingText | None = None
    usual_logprob: float | None = None
    _tokens: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.engine, self.settings = self.means.engine, self.means.settings
        self.brief = self.commission.brief
        self.target: int = self.brief.words or 0
        self._given = {turn.index: turn for turn in self.commission.given}
        self._said, self._heard = gate.Said(), 0
        self._off_limits: dict[tuple[int, ...], gate.Said] = {}
        self._tokens_said, self._seconds = 0, 0.0

    def next_turn(self, turns: Sequence[EpisodeTurn]) -> EpisodeTurn | None:
        """A turn that is given, or a new one; None after the last. Follows from the turns alone: a repeat does alike.

        raises   NothingUsableError if no attempt gave a turn that may be kept; nothing is written by us instead
        """
        if (given := self._given.get(len(turns))) is not None:
            return given
        if self._is_over(turns):
            return None
        began = time.monotonic()
        turn = self._write(self._planned(turns), turns)
        self._tokens_said, self._seconds = self._tokens_said + turn.tokens, self._seconds + time.monotonic() - began
        return turn

    @property
    def asked_the_engine(self) -> bool:
        """Whether the engine has had to say or to read anything: not if a person wrote all that is new."""
        only_given = self.commission.ends_with_given and len(self._given) == max(self._given) + 1
        return not only_given or self.settings.scoring_tokens > 0

    def words(self, turns: Sequence[EpisodeTurn]) -> int:
        return sum(len(words_of(turn.text)) for turn in turns)

    def keep(self, turn: EpisodeTurn) -> EpisodeTurn:
        """Store a turn unless it is there; what is stored counts, whoever wrote it."""
        key = keys.episode_turn(self.show.slug, self.commission.episode, turn.index)
        if create_manifest(self.means.store, key, turn):
            return turn
        stored = load(self.means.store, key, EpisodeTurn)
        if stored.adapter != turn.adapter:
            raise ConflictError(
                f"another worker writes episode {self.commission.episode} with {stored.adapter}; it goes on there"
            )
        return stored

    def parameters(self) -> dict[str, object]:
        names = ("host_min_tokens", "host_max_tokens", "guest_min_tokens", "guest_max_tokens", "max_model_len")
        speed = {"tokens_per_s": round(self._tokens_said / self._seconds, 1)} if self._seconds else {}
        return {name: getattr(self.settings, name) for name in names} | {"top_p": self._top_p} | speed

    def demand_room(self) -> None:
        """raises BadInputError if the model cannot see the brief and two turns at once, or a turn that is given"""
        room = self.window_tokens
        for turn in self.commission.given:
            if (tokens := self._count(turn.text) + TURN_OVERHEAD_TOKENS) > room:
                raise BadInputError(
                    f"turn {turn.index} has {tokens:,} tokens, and beside the brief the model sees {room:,}; shorten "
                    "it, or raise INFERENCE_MAX_MODEL_LEN"
                )

    def plain_header(self) -> Message:
        """What the model is told, but for where it is in the plan."""
        return self._header(now=(), position=0.5, examples=())

    # ---- where we are ------------------------------------------------------------------------------------------------

    def _is_over(self, turns: Sequence[EpisodeTurn]) -> bool:
        given_to_its_end = self.commission.ends_with_given and len(turns) > max(self._given)
        return given_to_its_end or bool(turns and turns[-1].closing)

    def _planned(self, turns: Sequence[EpisodeTurn]) -> TurnPlan:
        index = len(turns)
        lengths = self.commission.lengths.guest if index % 2 else self.commission.lengths.host
        share = seed_for(self.brief.seed, index, 0) / 2**31
        return plan_turn(
            index,
            self.words(turns),
            self.target,
            self.settings.host,
            self.settings.guest,
            wanted_words(lengths, share),
            may_close=index > max(self._given, default=-1),
        )

    def _view(self, turns: Sequence[EpisodeTurn]) -> _View:
        """What the model sees before the next turn. Where turns leave its sight, the base model sums them up."""
        scene = self._scene(turns)
        first = self._first_seen(turns, scene)
        before, told = (turns[-1].summary, turns[-1].summed_turns) if turns else ("", 0)
        if first <= told:
            return _View(first, before, scene, summed=told)
        return _View(first, self._sum_up(before, turns[told:first], len(turns)), scene, summed=first)

    def _scene(self, turns: Sequence[EpisodeTurn]) -> int:
        return scenes.next_number(self.brief.plan, turns, self.words(turns), self.target)

    def _first_seen(self, turns: Sequence[EpisodeTurn], scene: int) -> int:
        costs = [self._count(turn.text) for turn in turns]
        fresh = [turn.index - turn.index % 2 for turn in turns if turn.fresh]
        return max([first_seen(costs, self.window_tokens, scenes.beginnings(turns, scene)), *fresh])

    def _beyond(self, view: _View, plan: TurnPlan) -> _View:
        """Out of a loop: a question is asked as if nothing had been said, about the next beat; an answer hears no more
        than its question."""
        if plan.role == "guest":
            return replace(view, first=plan.index - 1, fresh=True)
        scene = min(view.scene + 1, max(view.scene, scenes.last_number(self.brief.plan)))
        return replace(view, first=plan.index, scene=scene, fresh=True)

    @cached_property
    def window_tokens(self) -> int:
        """What the turns in a prompt may take together. raises BadInputError if that is too little to talk in"""
        longest = max(self.settings.host_max_tokens, self.settings.guest_max_tokens)
        fixed = self.engine.renderer.count(self._header(now=(), position=0.5, examples=self._shown).text)
        now = max(NOW_TOKENS, self._count(self._goodbye()))
        room = self.settings.max_model_len - longest - fixed - SUMMARY_TOKENS - now - SPARE_TOKENS
        if room < 2 * longest:
            raise BadInputError(
                f"the brief is too long for the model, or its context too small: it reads "
                f"{self.settings.max_model_len} tokens, {fixed} are the brief, and a turn has up to {longest}; shorten "
                "`about` and `facts`, or raise INFERENCE_MAX_MODEL_LEN"
            )
        return room

    # ---- what the model sees -----------------------------------------------------------------------------------------

    def _prompt(self, plan: TurnPlan, view: _View, turns: Sequence[EpisodeTurn]) -> list[int]:
        examples = self._shown if turns else (*self._shown, *self._openings)
        now = (self._goodbye(),) if plan.closing else self._now(view.scene)
        system = self._header(examples=examples, position=self._position(view, plan, turns), now=now, view=view)
        said = [Message(role=turn.role, text=turn.text) for turn in turns[view.first :]]
        return self.engine.renderer.prompt([system, *said], plan.role)

    def _header(
        self, now: Sequence[str], position: float, examples: Sequence[str], view: _View | None = None
    ) -> Message:
        return header(
            show_title=self.show.title,
            host=self.show.host,
            guest=self.brief.guest,
            facts=self.commission.facts,
            about=self.brief.about,
            tone=self.brief.tone,
            examples=examples,
            chapters=[chapter.title for chapter in self.brief.plan],
            position=position,
            summary=view.summary if view else "",
            now=now,
        )

    def _position(self, view: _View, plan: TurnPlan, turns: Sequence[EpisodeTurn]) -> float:
        """Of an episode with a plan, as it was when this stretch of turns began: what is written once is read once."""
        if plan.closing or not self.brief.plan:
            return plan.position
        begun = max([view.first, *(at for at in scenes.beginnings(turns, view.scene) if at <= len(turns))])
        return min(1.0, self.words(turns[:begun]) / self.target)

    def _now(self, scene: int) -> tuple[str, ...]:
        """The beats that are next, as many as there is room for."""
        found = scenes.scene(self.brief.plan, scene)
        room, beats = NOW_TOKENS, []
        for beat in found.beats if found else ():
            room -= self._count(beat) + 2
            if room < 0:
                break
            beats.append(beat)
        return tuple(beats)

    @cached_property
    def _shown(self) -> tuple[str, ...]:
        """What only a model that was not trained on the show is told: how its people talk, in an eighth of the context
        each."""
        if self.adapter is not None:
            return ()
        shown = [
            f"For example, {self.show.host} asks: “{asked}” A guest answers: “{answered}”"
            for asked, answered in self.manners.excerpts
        ]
        fitting = [text for text in shown if self._count(text) <= self.settings.max_model_len // 8]
        return (*fitting, MANNER.format(self.show.host))

    @cached_property
    def _openings(self) -> tuple[str, ...]:
        """How real episodes began, in a quarter of the room for turns each."""
        shown = [f"An earlier episode began: “{text}”" for text in self.manners.openings]
        return tuple(text for text in shown if self._count(text) <= self.window_tokens // 4)

    def _goodbye(self) -> str:
        return f"all is said. {self.show.host} thanks {self.brief.guest} and says goodbye."

    def _count(self, text: str) -> int:
        if text not in self._tokens:
            self._tokens[text] = self.engine.renderer.count(text)
        return self._tokens[text]

    def _sum_up(self, before: str, gone: Sequence[EpisodeTurn], index: int) -> str:
        """The summary with what has left the window; as it was if the model says nothing that can be used."""
        room = self.settings.max_model_len - 2 * SUMMARY_TOKENS - NOW_TOKENS - SPARE_TOKENS
        prompt = note_request(self.engine.renderer, before, gone, room)
        ask = Ask(
            prompt=prompt,
            stop_ids=self.engine.renderer.stop_ids("guest"),
            min_tokens=8,
            max_tokens=SUMMARY_TOKENS,
            temperature=0.3,
            top_p=self._top_p,
            seed=seed_for(self.brief.seed, index, 0),
            kind="summary",
        )
        [noted] = self.engine.say(None, ask, self.means.job)
        text = readable(noted.text, noted.ended, (self.show.host, self.brief.guest))
        return text if text and self._count(text) <= SUMMARY_TOKENS else before

    # ---- what it says ------------------------------------------------------------------------------------------------

    def _write(self, plan: TurnPlan, turns: Sequence[EpisodeTurn]) -> EpisodeTurn:
        """Ask until a turn passes the gate. If it loops each time, from out of the loop; then the least bad is kept."""
        self._listen(turns)
        view = self._view(turns)
        tried = _Tried()
        self._try(plan, view, turns, tried, range(1, self.settings.attempts + 1))
        if tried.best is None and tried.is_looping:
            beyond = self._beyond(view, plan)
            self._try(plan, beyond, turns, tried, range(self.settings.attempts + 1, 2 * self.settings.attempts + 1))
        return self._turn(plan, tried)

    def _listen(self, turns: Sequence[EpisodeTurn]) -> None:
        for turn in turns[self._heard :]:
            self._said.add(Spoken(turn.role, turn.text, turn.closed))
        self._heard = len(turns)

    def _try(
        self, plan: TurnPlan, view: _View, turns: Sequence[EpisodeTurn], tried: _Tried, attempts: Sequence[int]
    ) -> None:
        prompt = self._prompt(plan, view, turns)
        for attempt in attempts:
            good = []
            candidates = self.engine.say(self.adapter, self._ask(plan, prompt, attempt), self.means.job)
            tried.attempts, tried.computed = attempt, tried.computed + candidates[0].computed
            for candidate in candidates:
                draft = gate.before_loop(gate.draft(candidate.text, ended=candidate.ended), self._said)
                faults = self._faults(plan, draft)
                if not faults:
                    good.append(_Kept(draft, candidate, view))
                    continue
                tried.reject(f"attempt {attempt}: {'; '.join(fault.reason for fault in faults)}", faults)
                if not any(fault.grave for fault in faults):
                    tried.imperfect.append((sum(fault.weight for fault in faults), _Kept(draft, candidate, view)))
            if good:
                tried.best = self._nearest(good, plan)
                return

    def _faults(self, plan: TurnPlan, draft: gate.Draft) -> list[gate.Fault]:
        names = (self.show.host, self.brief.guest)
        return [
            *gate.faults(draft, plan.role, self._said, names, plan.fit_words, self.show.language),
            *gate.recitals(draft, self.learnt),
            *gate.copies(draft, self._not_to_copy(plan.index)),
        ]

    def _not_to_copy(self, index: int) -> gate.Said:
        """What the model is shown as an example, and turns that follow this one already."""
        later = tuple(turn.index for turn in self.commission.given if turn.index > index)
        if later not in self._off_limits:
            shown = [text for exchange in self.manners.excerpts for text in exchange]
            told = [turn.text for turn in self.commission.given if turn.index > index]
            texts = [*shown, *own_words(self.manners.openings), *told]
            self._off_limits[later] = gate.Said(Spoken(None, text) for text in texts)
        return self._off_limits[later]

    def _ask(self, plan: TurnPlan, prompt: Sequence[int], attempt: int) -> Ask:
        temperature = warmer(self.brief.temperature, attempt)
        return Ask(
            prompt=prompt,
            stop_ids=self.engine.renderer.stop_ids(plan.role),
            min_tokens=plan.min_tokens,
            max_tokens=plan.max_tokens,
            temperature=temperature,
            top_p=self._top_p,
            seed=seed_for(self.brief.seed, plan.index, attempt),
            n=self.brief.candidates if temperature else 1,  # without chance all would be alike, and vLLM refuses them
        )

    @property
    def _top_p(self) -> float:
        return self.settings.top_p if self.brief.top_p is None else self.brief.top_p

    def _nearest(self, good: Sequence[_Kept], plan: TurnPlan) -> _Kept:
        """The candidate most like a real turn, in how expected its words are and in length: the likeliest is bland."""
        usual = self.usual_logprob
        if usual is None:
            usual = median(kept.candidate.logprob for kept in good)

        def distance(kept: _Kept) -> float:
            words = max(1, len(words_of(kept.draft.text)))
            off = abs(math.log(words / plan.wanted_words)) if plan.wanted_words else 0.0
            return abs(kept.candidate.logprob - usual) + LENGTH_WEIGHT * off

        return min(good, key=distance)

    def _turn(self, plan: TurnPlan, tried: _Tried) -> EpisodeTurn:
        kept, rejected = tried.best, tried.rejected
        if kept is None:
            if not tried.imperfect:
                raise NothingUsableError(
                    f"turn {plan.index} ({plan.role}) failed {tried.attempts} times: {tried.rejected[-1]}"
                )
            _, kept = min(tried.imperfect, key=lambda one: one[0])
            rejected = [*rejected, "kept the least bad of these"]
        found = scenes.scene(self.brief.plan, kept.view.scene)
        return EpisodeTurn(
            index=plan.index,
            role=plan.role,
            speaker=self.show.host if plan.role == "host" else self.brief.guest,
            text=kept.draft.text,
            tokens=kept.candidate.tokens,
            attempts=tried.attempts,
            rejected=tuple(rejected),
            closed=kept.draft.closed,
            closing=plan.closing,
            target_words=self.target,
            adapter=self.adapter.name if self.adapter else None,
            chapter=found.title if found else "",
            scene=kept.view.scene,
            summary=kept.view.summary,
            summed_turns=kept.view.summed,
            fresh=kept.view.fresh,
            computed_prompt_tokens=tried.computed,
        )


@dataclass(frozen=True)
class _Kept:
    draft: gate.Draft
    candidate: Candidate
    view: _View


@dataclass
class _Tried:
    """What came of the attempts at one turn."""

    best: _Kept | None = None
    imperfect: list[tuple[int, _Kept]] = field(default_factory=list)
    rejected: list[str] = field(default_factory=list)
    attempts: int = 0
    computed: int = 0
    loops: int = 0

    @property
    def is_looping(self) -> bool:
        """Whether most of what was rejected goes round in circles."""
        return 2 * self.loops > len(self.rejected)

    def reject(self, why: str, faults: Sequence[gate.Fault]) -> None:
        self.rejected.append(why)
        self.loops += any(fault.loops for fault in faults)


def own_words(openings: Sequence[str]) -> list[str]:
    """Of several openings, the sentences that just one of them has: what all say is the show's greeting."""
    sentences = [SENTENCE.findall(text) for text in openings]
    count = Counter(" ".join(words_of(sentence)) for found in sentences for sentence in found)
    return [sentence for found in sentences for sentence in found if count[" ".join(words_of(sentence))] == 1]


def warmer(temperature: float, attempt: int) -> float:
    """The temperature of an attempt, the first one's being the brief's: bolder each time, up to a limit."""
    return min(temperature + WARMER * (attempt - 1), max(HOTTEST, temperature))


def seed_for(seed: int, turn: int, attempt: int) -> int:
    """One seed per attempt, below 2**31: the same in every repeat, and for every adapter that a brief is tried with."""
    digest = hashlib.sha256(f"{seed}/{turn}/{attempt}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
