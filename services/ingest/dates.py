"""The first date that an English sentence names, as ISO 8601 of the precision it has. Pure.

A wrong date is worse than none: 03/04/1998 is 1998, 2000 people are no year.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from shared.guests import checked_date

_NAMES = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
          "november", "december")  # fmt: skip
MONTHS = {name: number for number, name in enumerate(_NAMES, start=1)}
MONTHS |= {name[:3]: number for name, number in MONTHS.items()} | {"sept": 9}

_MONTH = rf"(?P<month>{'|'.join(sorted((name.capitalize() for name in MONTHS), key=len, reverse=True))})\b\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>1\d{3}|20\d{2})(?!\d)"
_WRITTEN = (
    re.compile(rf"(?<![\d–-]){_DAY}\s(?:day\s)?(?:of\s)?{_MONTH},?\s{_YEAR}"),
    re.compile(rf"\b{_MONTH}\s(?:the\s)?{_DAY},?\s{_YEAR}"),
    re.compile(rf"\b{_MONTH}(?:\sof)?,?\s{_YEAR}"),
    re.compile(r"(?<![\w/–-])(?P<year>1\d{3}|20\d{2})-(?P<month>\d{2})(?:-(?P<day>\d{2}))?(?![\w–-])"),
)

_BARE = re.compile(r"(?<![\w$€£¥#+.:,–-])(?P<year>1[5-9]\d{2}|20\d{2})(?![\w%]|[.,:]\d|\s?%)")
_BEFORE = re.compile(r"([^\W\d_]+\.?|[(,;:/])\s?$")
_AFTER = re.compile(r"\s?(?:([)–:,;-])|([a-z]+))")
_WHEN = frozenset((
    "in", "since", "until", "till", "during", "circa", "ca", "early", "late", "mid", "year", "summer", "spring",
    "autumn", "fall", "winter", "season", "before", "after", "throughout", "born",
))  # fmt: skip
_PERHAPS_WHEN = frozenset(("from", "of", "by", "around", "between", "and", "to", "or", "the", "through", "on", "a"))
_MARKS = ("(", ",", ";", ":", "/")
_NO_COUNT = frozenset((
    "was", "is", "has", "as", "his", "its", "this", "across", "towards", "does", "besides", "always", "perhaps",
    "thus", "sometimes",
))  # fmt: skip
_COUNTED = frozenset((
    "people", "men", "women", "children", "km", "mi", "kg", "metres", "meters", "feet", "miles", "percent", "per",
    "million", "billion",
))  # fmt: skip


def date_in(sentence: str) -> str | None:
    """The date that comes first; of several readings of one place, the most precise."""
    found = sorted(_dates(sentence))
    return found[0][2] if found else None


def _dates(sentence: str) -> Iterator[tuple[int, int, str]]:
    """Where the year of each date ends, minus the date's precision, and the date."""
    for pattern in _WRITTEN:
        for match in pattern.finditer(sentence):
            parts = match.groupdict()
            month = MONTHS.get(parts["month"].casefold()) or int(parts["month"])
            day = int(parts.get("day") or 0)
            written = f"{parts['year']}-{month:02d}" + (f"-{day:02d}" if day else "")
            if _is_real(written):
                yield match.end("year"), -len(written), written
    for match in _BARE.finditer(sentence):
        if _names_a_year(sentence, match):
            yield match.end(), -4, match["year"]


def _is_real(written: str) -> bool:
    try:
        return bool(checked_date(written))
    except ValueError:
        return False


def _names_a_year(sentence: str, match: re.Match[str]) -> bool:
    """Whether four digits are a year and no count, by the words around them."""
    before, after = _BEFORE.search(sentence, 0, match.start()), _AFTER.match(sentence, match.end())
    mark = after.group(1) if after else None
    word = (after.group(2) if after else None) or ""
    counts = word in _COUNTED or (word.endswith("s") and word not in _NO_COUNT)
    lead = before.group(1).casefold().rstrip(".") if before else ""
    if lead in _WHEN:
        return not counts or (word not in _COUNTED and match["year"][2:] != "00")
    if lead in MONTHS or lead in _MARKS or lead in _PERHAPS_WHEN or mark is not None:
        return not counts
    return not sentence[: match.start()].strip() and not counts and word != ""
