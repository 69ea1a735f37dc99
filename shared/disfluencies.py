"""Signs of speech that nobody wrote: um, "you know", "I mean", words begun twice or cut off. Pure, for English."""

from __future__ import annotations

import re

from shared.spoken import FILLERS

# Words that nobody says twice in a row but by a false start; "that that", "had had" and "very, very" are no mistakes.
_TWICE = (
    "i|i'm|i've|i'd|you|he|she|it|it's|we|we're|they|they're|the|a|an|and|but|or|so|to|of|in|on|at|for|with|from|"
    "my|your|his|our|their|this|is|was|are|were|if|what|when|how|because|there's|that's"
)
_MARKS = re.compile(
    rf"""
    \b(?:{"|".join(sorted(FILLERS))})\b
    | (?<!\bdo\ )(?<!\bdid\ )(?<!\bdon't\ )(?<!\bif\ )(?<!\bas\ )\byou\ know\b
      (?!\ (?:about|how|if|that|the|this|what|when|where|who|why|which|him|her|them|it|me|my|your|any|all)\b)
    | (?<!\bwhat\ )(?<!\bdo\ )(?<!\bif\ )\bi\ mean\b(?!\ (?:it|that|to)\b)
    | \b({_TWICE})\b(?:,|\.\.\.|…|\ ?-|\ ?—)?\ (?=\1\b)
    | \b[a-z]+-(?=[\s,]|$)
    """,
    re.VERBOSE,
)


def disfluencies(text: str) -> int:
    """How many there are. A transcript that somebody tidied has few, whoever talked."""
    return sum(1 for _ in _MARKS.finditer(" ".join(text.lower().replace("’", "'").split())))
