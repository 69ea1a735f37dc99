"""What only adverts say: an episode that says it recites one that its model learnt. Pure.

Stricter than `shared.repeats.ADVERT`, which is asked of what is repeated anyway: people do talk of discounts and of
sponsors.
"""

from __future__ import annotations

import re

PHRASES = re.compile(
    r"""
    \b(?:our|today's|this\ (?:week|month|podcast|show|episode|video)'s|a\ word\ from\ (?:our|the))\ sponsors?\b
    | \b(?:sponsors?\ of|sponsoring)\ (?:this|the|our|today's)\ (?:podcast|show|episode|channel|video)\b
    | \b(?:is|are|was|episode|podcast|show|video)\ (?:proudly\ |kindly\ )?sponsored\ by\b
    | \bbrought\ to\ you\ by\b
    | \b(?:promo|discount|coupon|voucher|checkout)\ codes?\b
    | \buse\ (?:the\ |my\ |our\ )?code\b
    | \d+\s?(?:%|percent|per\ cent)\ off\b
    | \b(?:free\ trial|free\ shipping|money[\ -]back\ guarantee|first\ month\ free)\b
    | \blinks?\ (?:is\ |are\ )?in\ the\ (?:description|bio|show\ ?notes)\b
    | \b(?:dot\ com\ (?:forward\ )?slash|at\ checkout|terms\ (?:and\ conditions\ )?apply)\b
    """,
    re.VERBOSE | re.IGNORECASE,
)


def advert_words(text: str) -> tuple[str, ...]:
    """The phrases of adverts in a text, lower-cased, in order, each as often as it is said."""
    plain = " ".join(text.replace("’", "'").split())
    return tuple(found.group().lower() for found in PHRASES.finditer(plain))
