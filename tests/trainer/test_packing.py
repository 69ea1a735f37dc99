from __future__ import annotations

from itertools import accumulate, pairwise

import numpy as np
import pytest

from services.trainer.packing import IGNORED, filling, pack


def rows(*sizes: int) -> list[dict[str, list[int]]]:
    """Examples whose tokens say which they are; the first half of each is not learnt."""
    return [
        {
            "input_ids": [1000 * place + token for token in range(size)],
            "labels": [IGNORED if token < size // 2 else 1000 * place + token for token in range(size)],
        }
        for place, size in enumerate(sizes)
    ]


def test_examples_are_put_where_they_leave_the_least_room():
    packs = pack(rows(60, 30, 50, 40, 10), 100)

    assert [{token // 1000 for token in one["input_ids"]} for one in packs] == [{0, 3}, {1, 2, 4}]


def test_a_pack_knows_where_each_example_ends_and_learns_it_as_before():
    [packed] = pack(rows(3, 2), 8)

    assert packed["input_ids"] == [0, 1, 2, 1000, 1001]
    assert packed["seq_lengths"] == [3, 2]
    assert packed["labels"] == [IGNORED, 1, 2, IGNORED, 1001]


def test_nobody_learns_the_first_token_of_an_example_from_the_one_before():
    learnt_from_the_start = [{"input_ids": [5, 6], "labels": [5, 6]}, {"input_ids": [7, 8], "labels": [7, 8]}]

    [packed] = pack(learnt_from_the_start, 4)

    assert packed["labels"] == [IGNORED, 6, IGNORED, 8]


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_lost_split_or_too_long(seed: int):
    random = np.random.default_rng(seed)
    examples = rows(*(int(size) for size in random.integers(1, 129, 60)))

    packs = pack(examples, 128)

    assert all(len(one["input_ids"]) <= 128 for one in packs)
    assert sorted(token for one in packs for token in one["input_ids"]) == sorted(
        token for one in examples for token in one["input_ids"]
    )
    for one in packs:
        edges = list(accumulate(one["seq_lengths"], initial=0))
        assert edges[-1] == len(one["input_ids"]) == len(one["labels"])
        for first, last in pairwise(edges):
            assert one["input_ids"][first:last] == examples[one["input_ids"][first] // 1000]["input_ids"]


def test_what_is_too_long_is_no_mistake_to_be_shortened():
    with pytest.raises(ValueError, match="9 tokens"):
        pack(rows(9), 8)


def test_filling_is_counted():
    packs = pack(rows(60, 40, 50), 100)

    assert filling(packs, 100).fill == pytest.approx(0.75)
    assert filling(packs, 100).examples == 3 and filling(packs, 100).packs == 2
    assert filling(packs, 100).supervised_share == pytest.approx(0.5)
    assert pack([], 100) == [] and filling([], 100).fill == 0.0
