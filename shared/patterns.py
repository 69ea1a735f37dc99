"""Regular expressions that people write: compiled if they end soon on any text."""

from __future__ import annotations

import re

from shared.errors import BadInputError

MOST_REPEATS, MOST_MAYBES = 3, 5
_LITERALS = re.compile(r"\\.|\[\^?\]?[^\]]*\]", re.S)
_REPEATED_GROUP = re.compile(r"\)[*+{]")
_REFERENCE = re.compile(r"\\[1-9]|\(\?P=|\(\?\(")


def quick_pattern(text: str) -> re.Pattern[str]:
    """The pattern, case ignored; nobody can stop a match that has begun. raises BadInputError"""
    _demand_quick(text)
    try:
        return re.compile(text, re.I)
    except (re.error, OverflowError, RecursionError) as error:
        raise BadInputError(
            f"title_pattern is no regular expression ({error}); for plain text put \\ before . ? * + ( ) [ ]"
        ) from error


def _demand_quick(pattern: str) -> None:
    """Refuse what may take for ever on some titles."""
    bare = _LITERALS.sub("x", pattern)
    bare = re.sub(r"([*+?}])[?+]", r"\1", bare.replace("(?", "("))
    many, maybe = len(re.findall(r"[*+{]", bare)), bare.count("?")
    if _REPEATED_GROUP.search(bare) or _REFERENCE.search(pattern) or many > MOST_REPEATS or maybe > MOST_MAYBES:
        raise BadInputError(
            f"title_pattern may take for ever on some titles; at most {MOST_REPEATS} of * + {{ and {MOST_MAYBES} of ?, "
            "none of * + { after a ), and no references back"
        )
