"""A finding of a report leads to the turns in which it is."""

from __future__ import annotations

from services.studio.pages.places import Finding, findings_of, loop_begins, said_again
from shared.schemas import Episode, LikelyAnswer, RecitedSpan
from tests.studio.pages.an_episode import an_episode, said, turns_of


def the_one(episode: Episode, about: str) -> Finding:
    (found,) = [one for one in findings_of(episode) if about in one.text]
    return found


def talk(turns: int) -> list[str]:
    return [said(10 + 30 * (index % 2), index) for index in range(turns)]


def test_a_sound_episode_has_no_findings():
    texts = [f"And what about {said(9, index)}?" if index % 2 == 0 else said(40, index) for index in range(20)]

    assert findings_of(an_episode(turns_of(texts))) == []


def test_recited_words_lead_to_their_turns_each_once():
    spans = tuple(
        RecitedSpan(turn=turn, first_word=first, last_word=first + 13, recording="spoken")
        for turn, first in ((3, 0), (3, 20), (1, 5))
    )

    assert the_one(an_episode(turns_of(talk(6)), spans), "recites").turns == (1, 3)


def test_a_loop_leads_to_where_it_begins_and_a_passage_to_where_it_is_said_again():
    texts = talk(30)
    texts[21], texts[25] = texts[15], texts[15]
    texts[27] = " ".join(["round and round we go"] * 60)
    episode = an_episode(turns_of(texts))

    (place,) = the_one(episode, "goes round in circles").turns
    assert place == 27
    assert the_one(episode, "longest repeated span").turns == (27,)


def test_the_longest_passage_counts_and_not_the_first():
    texts = [said(25, 1), said(60, 2), said(25, 1), said(9, 3), said(60, 2)]

    assert said_again(turns_of(texts)) == 4
    assert said_again(turns_of(talk(4))) is None


def test_a_text_of_a_few_words_has_no_loop():
    assert loop_begins(turns_of(["Who are you?", "A baker."])) is None
    assert loop_begins(turns_of(["no no no no no no no no"])) == 0


def test_ends_and_roles_lead_to_the_turns_that_have_them():
    texts = talk(6)
    texts[2] = "..."
    turns = list(turns_of(texts))
    turns[3] = turns[3].model_copy(update={"closed": False})
    turns[5] = turns[5].model_copy(update={"role": "host"})
    episode = an_episode(turns)

    assert the_one(episode, "1 empty turn").turns == (2,)
    assert the_one(episode, "unclosed").turns == (3,)
    assert the_one(episode, "do not alternate").turns == (5,)


def test_answers_adverts_replies_and_length_lead_to_the_turns_that_have_them():
    texts = talk(16)
    texts[4] = "Do you bake bread at home? Yes, I bake bread every day."
    texts[7] += " It is brought to you by our sponsor."
    for place in (9, 11, 13):
        texts[place] = "Yes."
    episode = an_episode(turns_of(texts), words=5000)

    assert the_one(episode, "guest's answer").turns == (4,)
    assert the_one(episode, "advert words").turns == (7,)
    assert the_one(episode, "one-word replies").turns == (9, 11, 13)
    assert the_one(episode, "instead of 5,000").turns == (15,)


def test_what_a_model_or_a_fact_sheet_tells_leads_to_its_turn():
    episode = an_episode(turns_of(talk(8)))
    answers = (LikelyAnswer(turn=6, text="I was nine.", margin=0.9),)
    episode = episode.model_copy(
        update={"report": episode.report.model_copy(update={"answers_by_likelihood": answers})}
    )

    assert the_one(episode, "likelier as the guest's").turns == (6,)


def test_the_gravest_comes_first_and_what_is_of_the_whole_leads_nowhere():
    texts = talk(20)
    texts[3] = "..."
    found = findings_of(an_episode(turns_of(texts)))

    assert [one.grade for one in found] == sorted((one.grade for one in found), key=["bad", "look"].index)
    assert the_one(an_episode(turns_of(talk(20))), "host turns that ask").turns == ()
