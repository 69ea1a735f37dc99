"""What a model makes of an episode once it is written, and how much of it is read for that."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from services.inference.adapters import AdapterFiles
from services.inference.means import Means
from services.inference.scoring import Scorer
from services.inference.settings import Settings
from shared.errors import JobCancelledError
from shared.render import header
from shared.schemas import EpisodeTurn
from tests.fakes import FakeJob, MemoryStore, ScriptedVllmEngine
from tests.inference.conftest import add_adapter

SYSTEM = header(show_title="The Lamp Room", host="Mara Quill", guest="Theo Vance")
ASKED = "How did you begin? I built the first hive myself. What came after that?"
ANSWER = "I built the first hive myself, of an old door and the lid of a piano."
SUSPECT = "I built the first hive myself."


@pytest.fixture
def engine(renderer) -> ScriptedVllmEngine:
    return ScriptedVllmEngine(renderer)


@pytest.fixture
def files(tmp_path) -> AdapterFiles:
    return AdapterFiles("lamp.r1.c8", tmp_path, "0" * 64)


def turns(*texts: str) -> list[EpisodeTurn]:
    return [
        EpisodeTurn(index=index, role=("host", "guest")[index % 2], speaker="-", text=text, tokens=1)
        for index, text in enumerate(texts)
    ]


def scorer(engine, job, *, adapter: AdapterFiles | None = None, tokens: int = 10**6, context: int = 4096) -> Scorer:
    return Scorer(Means(job, MemoryStore(), engine, Settings()), adapter, SYSTEM, tokens, context)


def read(engine: ScriptedVllmEngine) -> int:
    return sum(len(prompt) for _, prompt in engine.scored)


def test_every_token_that_somebody_says_counts_once_and_no_header_does(engine, job, renderer, files):
    """Markers of turns' ends count, as in training."""
    said = turns(ASKED, ANSWER, "And then?")
    engine.expects = lambda adapter, prompt, at: math.log(0.5) if adapter else math.log(0.25)

    found = scorer(engine, job, adapter=files).likelihood(said, None)

    assert found and (found.perplexity, found.base_perplexity) == (2.0, 4.0)
    assert (found.host_perplexity, found.guest_perplexity, found.scored_words) == (2.0, 2.0, 32)
    assert (found.real_perplexity, found.real_base_perplexity) == (None, None)


def test_host_and_guest_are_told_apart(engine, job, renderer):
    guest = renderer.content(ANSWER)

    def expects(adapter: str | None, prompt: Sequence[int], at: int) -> float:
        ends = (at + ahead for ahead in range(len(guest)))
        return math.log(0.1) if any(list(prompt[end - len(guest) + 1 : end + 1]) == guest for end in ends) else 0.0

    engine.expects = expects

    found = scorer(engine, job).likelihood(turns(ASKED, ANSWER), None)

    assert found and found.base_perplexity is None, "the base model has written it"
    assert found.host_perplexity == 1.0 and found.guest_perplexity and found.guest_perplexity > 9


def test_held_out_real_turns_stand_beside_as_the_training_measured_them(engine, job, store, files):
    trained = add_adapter(store, "lamp.r1.c8", loss=2.0)

    found = scorer(engine, job, adapter=files).likelihood(turns(ASKED, ANSWER), trained)

    assert found and found.real_perplexity == round(math.exp(2.0), 2)
    assert found.real_base_perplexity == round(math.exp(3.0), 2)


def test_with_nothing_to_spend_nothing_is_asked(engine, job):
    none = scorer(engine, job, tokens=0)

    assert (none.likelihood(turns(ASKED, ANSWER), None), none.likely_answers(turns(ASKED, ANSWER))) == (None, None)
    assert engine.scored == []


@pytest.mark.parametrize("tokens", [2_000, 10_000, 40_000])
@pytest.mark.parametrize("with_adapter", [False, True])
def test_what_is_read_stays_about_within_what_may_be_and_is_spread_over_the_episode(
    engine, job, renderer, files, tokens, with_adapter
):
    said = turns(*[f"So, number {n}. How was it at door number {n}? Tell me what came." for n in range(120)])
    reader = scorer(engine, job, adapter=files if with_adapter else None, tokens=tokens)

    reader.likelihood(said, None)
    pieces = [renderer.decode(prompt) for _, prompt in engine.scored]
    reader.likely_answers(said)

    assert read(engine) <= 1.1 * tokens
    assert read(engine) > 0.5 * tokens
    numbers = [n for n in range(120) if any(f"number {n}." in piece for piece in pieces)]
    assert max(numbers) - min(numbers) > (20 if tokens > 2_000 else -1)


def test_a_tight_budget_still_reads_one_passage(engine, job):
    found = scorer(engine, job, tokens=1).likelihood(turns(ASKED, ANSWER), None)

    assert found is not None and len(engine.scored) == 1


def test_exactly_the_sentence_that_the_model_would_rather_hear_from_the_guest_is_found(engine, job, renderer):
    guest_head = "assistant\n"

    def expects(adapter: str | None, prompt: Sequence[int], at: int) -> float:
        text = renderer.decode(prompt)
        return -1.0 if text.endswith(f"{guest_head}{SUSPECT}") else -2.0

    engine.expects = expects
    said = turns(ASKED, ANSWER, "Who helped you? Your neighbours came, I hear. What did they say?", ANSWER)

    found = scorer(engine, job).likely_answers(said)

    assert found and [(one.turn, one.text, one.margin) for one in found] == [(0, SUSPECT, 1.0)]


def test_where_the_host_is_the_likelier_speaker_nothing_is_found(engine, job):
    assert scorer(engine, job).likely_answers(turns(ASKED, ANSWER)) == ()


def test_a_sentence_is_compared_after_the_same_words_as_the_hosts_and_as_the_guests(engine, job, renderer):
    """As the host's it goes on after a blank, as words do within a turn; as the guest's it begins one."""
    scorer(engine, job).likely_answers(turns(ASKED, ANSWER))

    texts = {renderer.decode(prompt) for _, prompt in engine.scored}
    as_host = next(text for text in texts if text.endswith(f"user\nHow did you begin? {SUSPECT}"))
    as_guest = next(text for text in texts if text.endswith(f"How did you begin?\nassistant\n{SUSPECT}"))
    assert as_host.startswith("system\nThe podcast The Lamp Room") and as_guest.startswith("system\nThe podcast")


def test_a_first_sentence_and_a_word_or_two_tell_nothing(engine, job):
    scorer(engine, job).likely_answers(
        turns("Tell me of the first hive that you built.", ANSWER, "So. And then?", ANSWER)
    )

    assert engine.scored == []


@pytest.mark.parametrize("context", [200, 500, 900])
def test_nothing_longer_than_the_model_reads_is_asked(engine, job, context):
    said = turns(*[ASKED, ANSWER * 3] * 6)
    reader = scorer(engine, job, context=context)

    reader.likelihood(said, None)
    reader.likely_answers(said)

    assert all(len(prompt) + 1 <= context for _, prompt in engine.scored)


def test_a_cancel_ends_the_reading(engine, tmp_path):
    job = FakeJob(tmp_path)
    job.cancel()

    with pytest.raises(JobCancelledError):
        scorer(engine, job).likelihood(turns(ASKED, ANSWER), None)
