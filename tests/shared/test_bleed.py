"""Host turns that answer themselves; the found ones are the prototype's, the others are what real hosts say."""

from __future__ import annotations

import pytest

from shared.bleed import answers_itself


@pytest.mark.parametrize(
    "turn",
    [
        "And that led you to start a band? Yeah, I started a band with my best friend at the time.",
        "I read that you were quite influenced by punk rock. Yeah, I was always listening to punk rock.",
        "You met people that would be pivotal in your life. I think so. Yeah, I met a lot of people around that time.",
        "What were some of the main arguments you made in that book? I think one of the main arguments I made was.",
        "Were you happy there? No, we weren’t.",
    ],
)
def test_an_answer_in_the_hosts_turn_is_seen(turn):
    assert answers_itself(turn)


@pytest.mark.parametrize(
    "turn",
    [
        "",
        "Yeah, I know that feeling. Did you stay?",
        "That is so Iowa! I love it!",
        "I love that. Were you military? Was your family military or...",
        "You were working in a charity shop. Yeah.",
        "What did you want to be? I remember my own school, and how bored I was.",
        "How did you learn to cook? I ask because my mother burnt everything.",
        "You said that it was hard. No doubt. What happened then?",
    ],
)
def test_what_a_host_says_of_themselves_is_no_answer(turn):
    assert not answers_itself(turn)
