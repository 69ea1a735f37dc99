from __future__ import annotations

import random

import pytest

from services.inference.lengths import TOKENS_PER_WORD, Limits, plan_turn, wanted_words

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


@pytest.mark.parametrize("limits", [CPU, GPU])
def test_long_episodes_are_as_long_as_they_are_asked_for_on_the_whole(limits):
    lengths = [sum(spoken_words(5_000, limits, random.Random(seed))) for seed in range(40)]

    assert 0.97 * 5_000 <= sum(lengths) / len(lengths) <= 1.04 * 5_000  # the goodbye comes on top


def test_the_shortest_episode_is_a_question_an_answer_and_a_goodbye():
    assert len(spoken_words(20, CPU, random.Random(1))) >= 3


def test_roles_alternate_and_the_host_begins():
    assert [plan_turn(index, 10, 400, *CPU).role for index in range(4)] == ["host", "guest", "host", "guest"]


REAL = (4, 6, 8, 10, 12, 15, 20, 25, 30, 40, 80)


def test_wanted_lengths_are_spread_as_the_real_ones_are():
    wanted = [wanted_words(REAL, share) for share in (0, 0.05, 0.5, 0.95, 1)]

    assert wanted == [4, 5, 15, 60, 80]
    assert wanted_words((), 0.5) is None and wanted_words((7,), 0.9) == 7


@pytest.mark.parametrize("limits", [CPU, GPU])
@pytest.mark.parametrize("wanted", [1.0, 4.0, 30.0, 80.0, 5_000.0])
@pytest.mark.parametrize("index", [2, 3])
def test_a_turn_of_a_wanted_length_stays_within_the_limits_of_its_role(limits, wanted, index):
    plan = plan_turn(index, 500, 3000, limits[0], limits[1], wanted=wanted)
    own = limits[index % 2]

    assert own.min_tokens <= plan.min_tokens <= plan.max_tokens <= own.max_tokens


def test_a_short_turn_is_asked_for_shorter_than_a_long_one():
    short, long = (plan_turn(3, 500, 3000, *GPU, wanted=wanted) for wanted in (10.0, 150.0))

    assert short.max_tokens < long.max_tokens and short.min_tokens < long.min_tokens
    assert short.max_tokens < 20 < 90 < long.min_tokens


@pytest.mark.parametrize("seed", range(10))
def test_an_episode_of_wanted_lengths_ends_within_a_tenth_too(seed):
    dice = random.Random(seed)
    said: list[int] = []
    while True:
        plan = plan_turn(len(said), sum(said), 2000, *GPU, wanted=wanted_words(REAL, dice.random()))
        least, most = max(1, int(plan.min_tokens / TOKENS_PER_WORD)), int(plan.max_tokens / TOKENS_PER_WORD)
        if plan.closing and plan.fit_words:
            least, most = max(least, plan.fit_words[0]), max(least, min(most, plan.fit_words[1]))
        said.append(dice.randint(least, max(least, most)))
        if plan.closing:
            break

    assert 1800 <= sum(said) <= 2200


def test_while_turns_follow_that_are_there_already_nobody_says_goodbye():
    assert plan_turn(10, 395, 400, *CPU).closing
    assert not plan_turn(10, 395, 400, *CPU, may_close=False).closing
