"""Examples -> packs: several whole examples beside each other in one row of at most max_length tokens. Pure.

No example is split or shortened. A pack knows how long each of its examples is: by that the attention kernels keep them
apart, so that none sees another.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Row = Mapping[str, Sequence[int]]
IGNORED = -100


@dataclass(frozen=True)
class Filling:
    """How well packs are filled: `fill` is the mean share of max_length that holds tokens."""

    packs: int
    examples: int
    tokens: int
    supervised: int
    fill: float

    @property
    def supervised_share(self) -> float:
        return self.supervised / max(self.tokens, 1)


def pack(rows: Sequence[Row], max_length: int) -> list[dict[str, list[int]]]:
    """Best fit, longest first: each example goes where it leaves the least room.

    rows      `input_ids` and `labels` of each example, as dataset.encode makes them
    returns   rows with `input_ids`, `labels` and `seq_lengths`, tokens of each example, as TRL's collator reads them;
              in the order of their first examples, and examples within a pack are in order too
    raises    ValueError for an example that is longer than max_length
    source    packing_strategy="bfd" of TRL, which shortens what is too long
    """
    sizes = [len(row["input_ids"]) for row in rows]
    return [_joined([rows[example] for example in own]) for own in fitted(sizes, max_length)]


def fitted(sizes: Sequence[int], max_length: int) -> list[list[int]]:
    """Which examples go into each pack, by their sizes in tokens; see `pack`."""
    if sizes and max(sizes) > max_length:
        raise ValueError(f"an example of {max(sizes)} tokens does not fit into {max_length}")
    members: list[list[int]] = []
    rooms: list[tuple[int, int]] = []  # room left and place of each pack, ascending
    for example in sorted(range(len(sizes)), key=lambda place: (-sizes[place], place)):
        found = bisect_left(rooms, (sizes[example], -1))
        if found < len(rooms):
            room, place = rooms.pop(found)
        else:
            room, place = max_length, len(members)
            members.append([])
        members[place].append(example)
        insort(rooms, (room - sizes[example], place))
    return sorted(sorted(own) for own in members)


def filling(packs: Sequence[Row], max_length: int) -> Filling:
    tokens = sum(len(row["input_ids"]) for row in packs)
    return Filling(
        packs=len(packs),
        examples=sum(len(row["seq_lengths"]) for row in packs),
        tokens=tokens,
        supervised=sum(label != IGNORED for row in packs for label in row["labels"]),
        fill=tokens / (max_length * len(packs)) if packs else 0.0,
    )


def _joined(rows: Sequence[Row]) -> dict[str, list[int]]:
    """An example's first token is nobody's continuation: it is never learnt from the example before."""
    return {
        "input_ids": [token for row in rows for token in row["input_ids"]],
        "labels": [label for row in rows for label in (IGNORED, *row["labels"][1:])],
        "seq_lengths": [len(row["input_ids"]) for row in rows],
    }
