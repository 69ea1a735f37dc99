from __future__ import annotations

from services.trainer.exam import HINT_TOKENS, openings, recitation, unseen
from shared.recitation import TrainingText
from shared.schemas import Example, Message

COUNTING = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
WORDS = COUNTING.split()


def example(recording: str, *said: str) -> Example:
    roles = ("host", "guest") * len(said)
    messages = [Message(role=role, text=text) for role, text in zip(roles, said, strict=False)]
    header = Message(role="system", text="The podcast Lamp.")
    return Example(
        recording=recording,
        transcript="t",
        guest=recording,
        messages=(header, *messages),
        tokens=1,
        supervised_tokens=1,
    )


def test_an_opening_is_an_example_up_to_the_first_words_of_its_first_answer(renderer):
    answer = "I mend clocks, and I have done so for forty years."
    asked = example("r1", "What do you do?", answer)

    [question] = openings([asked], renderer, 4)

    text = renderer.decode(question.prompt)
    assert question.role == "guest" and text.endswith(answer[:HINT_TOKENS])
    assert question.prompt == renderer.prompt(asked.messages[:2], "guest") + renderer.content(answer)[:HINT_TOKENS]
    assert renderer.end("guest")[0] in question.stop


def test_half_of_a_short_answer_is_left_to_be_said(renderer):
    [question] = openings([example("r1", "Well?", "Yes, I do.")], renderer, 4)

    assert renderer.decode(question.prompt).endswith("Yes,")


def test_openings_are_spread_over_all_examples_and_questions_without_an_answer_are_none(renderer):
    talks = [example(f"r{number}", f"Question {number}?", "An answer of some words.") for number in range(10)]

    found = openings([example("r", "Alone?"), *talks], renderer, 5)

    texts = [renderer.decode(one.prompt) for one in found]
    assert [text[text.index("Question") :][:11] for text in texts] == [f"Question {at}?" for at in (0, 2, 4, 6, 8)]
    assert openings([example("r", "Alone?")], renderer, 5) == []


def test_in_an_unseen_interview_the_guest_answers_and_the_host_asks_on(renderer):
    found = unseen([example("r1", "Who are you?", "A diver.", "Since when?")], renderer)

    assert [question.role for question in found] == ["guest", "host"]
    assert "A diver." not in renderer.decode(found[0].prompt) and "A diver." in renderer.decode(found[1].prompt)


def test_what_is_taken_from_one_recording_is_recited():
    said = TrainingText([example("r1", "Count!", " ".join(WORDS)), example("r2", "Who?", "Nobody.")])

    found = recitation(["Well, " + " ".join(WORDS[:15]).upper(), "Something of my own that nobody said."], said)

    assert found.longest == 15
    assert found.share == round(3 / 4, 4), "of the first answer's four 13-grams three; the other has none"


def test_what_several_recordings_have_is_manner_and_not_recitation():
    greeting = " ".join(WORDS)
    said = TrainingText([example("r1", greeting, "Hi."), example("r2", greeting, "Hello.")])

    assert recitation([greeting], said).share == 0.0
    twice = TrainingText([example("r1", greeting, "Hi."), example("r1", greeting, "Hello.")])
    assert recitation([greeting], twice).share == 1.0, "twice in one recording is one recording"


def test_short_answers_recite_nothing():
    said = TrainingText([example("r1", "Count!", " ".join(WORDS))])

    assert recitation([" ".join(WORDS[:12]), ""], said).longest == 0


def test_runs_of_two_recordings_are_not_one_run():
    said = TrainingText([example("r1", "Count!", COUNTING), example("r2", "Back!", " ".join(reversed(WORDS)))])

    found = recitation([" ".join([*WORDS[:13], *list(reversed(WORDS))[:13]])], said)

    assert found.longest == 13 and 0 < found.share < 1
