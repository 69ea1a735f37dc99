"""Which training turns are nearest to a text: the ranking, the passage, the seconds; and text that nobody expects."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest

from services.studio.nearest import PASSAGE_WORDS, TrainingTurns, best_passage, terms_of, times_of
from shared.errors import MachineUnfitError
from shared.schemas import Role, Turn
from tests.studio.a_dataset import example

EXAMPLES = (
    example("Ann", "How do you light a harbour lantern?", "With whale oil, and patience. The wick is cotton."),
    example("Bob", "What is a bakery at night?", "Warm flour, and a lantern by the door.", recording="r2"),
    example("Cleo", "Who sails?", "My aunt does.", recording="r3"),
)


@pytest.fixture
def turns() -> TrainingTurns:
    return TrainingTurns(EXAMPLES)


def test_the_turn_that_shares_the_rarest_words_comes_first(turns: TrainingTurns):
    found = turns.nearest("I lit the wick of cotton by the door", "guest", 5)

    assert [near.recording for near in found] == ["r1", "r2"]
    assert found[0].passage == "The wick is cotton." and found[0].guest == "Ann" and found[0].transcript == "rev1"
    assert found[0].score > found[1].score > 0


def test_the_same_role_counts_more_and_the_other_is_not_left_out():
    alike = TrainingTurns((example("Ann", "Copper kettles sing.", "Copper kettles sing."), *EXAMPLES))

    for role in ("host", "guest"):
        found = alike.nearest("copper kettles", role, 2)  # type: ignore[arg-type]

        assert {near.role for near in found} == {"host", "guest"} and found[0].role == role


def test_a_recording_that_must_not_be_quoted_is_left_out_and_others_take_its_place(turns: TrainingTurns):
    text = "a lantern and whale oil"
    assert turns.nearest(text, "guest", 1)[0].recording == "r1"

    assert turns.nearest(text, "guest", 1, without={"r1"})[0].recording == "r2"


def test_the_header_that_we_write_is_no_turn(turns: TrainingTurns):
    assert turns.nearest("Lamplight Mara", "host", 5) == []


@pytest.mark.parametrize(
    "text",
    ['"', '" OR *', "lantern) AND (", "NEAR(lantern oil, 2)", "text:lantern", "-lantern", "^lantern", "lantern*",
     "\0lantern\0", "'; DROP TABLE turns; --", "NOT", "lantern " * 5000, " ".join(f"w{at}" for at in range(5000)),
     "", "🦊 …"],
)  # fmt: skip
def test_no_text_is_syntax(turns: TrainingTurns, text: str):
    found = turns.nearest(text, "guest", 5)

    assert bool(found) == ("lantern" in text) and len(turns.nearest("lantern", "guest", 5)) == 2


def test_stop_words_do_not_count_unless_there_are_no_others():
    assert terms_of("And what would you say of the lantern?") == ["lantern"]
    assert terms_of("And you?") == ["and", "you"]


def test_a_turn_that_two_examples_have_is_found_once():
    twice = TrainingTurns((EXAMPLES[0], EXAMPLES[0]))

    assert len(twice.nearest("cotton wick", "guest", 5)) == 1


def test_many_threads_may_ask_at_once(turns: TrainingTurns):
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: turns.nearest("lantern oil", "guest", 5), range(64)))

    assert found == [found[0]] * 64 and found[0]


def test_a_sqlite_that_cannot_search_text_is_named_with_the_fix():
    class WithoutFts5(sqlite3.Connection):
        def execute(self, sql: str, *more: object) -> sqlite3.Cursor:  # type: ignore[override]
            if "fts5" in sql:
                raise sqlite3.OperationalError("no such module: fts5")
            return super().execute(sql, *more)  # type: ignore[arg-type]

    def connect(place: str, *, check_same_thread: bool) -> sqlite3.Connection:
        return sqlite3.connect(place, check_same_thread=check_same_thread, factory=WithoutFts5)

    with pytest.raises(MachineUnfitError, match="built without FTS5"):
        TrainingTurns(EXAMPLES, connect)


# ---- the passage -----------------------------------------------------------------------------------------------------


def test_the_passage_is_the_sentences_in_a_row_that_share_most():
    text = "Nothing here. The copper kettle sings. Then the tea. A long walk home. Copper again."

    assert best_passage(text, {"copper": 2.0, "kettle": 3.0, "tea": 3.0}) == "The copper kettle sings. Then the tea."
    assert best_passage("No mark at all", {"mark": 1.0}) == "No mark at all"


def test_a_long_sentence_is_cut_and_no_passage_is_longer_than_allowed():
    text = f"{'blue ' * 100}copper {'grey ' * 100}kettle. Short one."

    passage = best_passage(text, {"copper": 3.0, "kettle": 2.0})

    assert "copper" in passage and len(passage.split()) == PASSAGE_WORDS


def spoken(*texts: str) -> list[Turn]:
    """A word a second, a turn every hundred seconds."""
    return [
        Turn(speaker="S1", role=Role.GUEST, start_s=100 * at, end_s=100 * at + len(text.split()), text=text)
        for at, text in enumerate(texts)
    ]


def test_a_passage_is_found_with_its_first_and_last_second():
    turns = spoken("No, not here.", "Well, the kettle was made of copper, and it sang all night long in our house.")

    assert times_of(turns, ["the", "kettle", "was", "made", "of", "copper,", "and", "it", "sang"]) == (101.0, 110.0)


def test_what_the_dataset_left_out_of_a_turn_does_not_hide_it():
    turns = spoken("So the kettle was made of um copper, and uh it sang all night long in our old house.")
    passage = "So the kettle was made of copper, and it sang all night long in our old house."

    assert times_of(turns, passage.split()) == (0.0, 19.0)


def test_a_passage_that_is_not_said_or_too_short_to_be_told_has_no_seconds():
    turns = spoken("My aunt does.", "My aunt does.")

    assert times_of(turns, ["My", "aunt", "does."]) is None
    assert times_of(turns[:1], ["My", "aunt", "does."]) == (0.0, 3.0)
    assert times_of(turns, ["My", "uncle", "does", "not,", "as", "far", "as", "I", "know."]) is None
    assert times_of(turns, []) is None
