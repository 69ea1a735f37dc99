from __future__ import annotations

import random

import pytest

from services.inference.lengths import TOKENS_PER_WORD, Limits, plan_turn

CPU = (Limits(6, 60), Limits(12, 80))
GPU = (Limits(6, 300), Limits(12, 600))


def spoken_words(target: int, limits: tuple[Limits, Limits], dice: random.Random) -> list[int]:
    """Words of an episode whose speakers say something between what is asked at least and at most."""
    said: list[int] = []
    while True:
        plan = plan_turn(len(said), sum(said), target, *limits)
        least, most = (int(tokens / TOKENS_PER_WORD) for tokens in (plan.min_tokens, plan.max_tokens))
        said.append(dice.randint(max(1, least), most))
        if plan.closing:
            assert plan.fit_words is not None
            said[-1] = min(max(said[-1], plan.fit_words[0]), plan.fit_words[1])
            return said


@pytest.mark.parametrize("limits", [CPU, GPU])
@pytest.mark.parametrize("target", [60, 120, 400, 2000, 10_000])
@pytest.mark.parametrize("seed", range(10))
def test_an_episode_ends_within_a_tenth_of_its_target_on_the_hosts_goodbye(target, limits, seed):
    said = spoken_words(target, limits, random.Random(seed))

    assert len(said) % 2 == 1
    assert 0.9 * target <= sum(said) <= 1.1 * target


def test_the_shortest_episode_is_a_question_an_answer_and_a_goodbye():
    assert len(spoken_words(20, CPU, random.Random(1))) >= 3


def test_roles_alternate_and_the_host_begins():
    assert [plan_turn(index, 10, 400, *CPU).role for index in range(4)] == ["host", "guest", "host", "guest"]
