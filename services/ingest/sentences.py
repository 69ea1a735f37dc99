"""Written English as paragraphs of sentences, without what is no text: citation marks, menus, cookie notices. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from shared.guests import SENTENCE_CHARACTERS, without_invisible

SHORT_LINE = 50
"""Characters of a line that ends by itself, where the next begins with a capital: a heading, a line of a list."""

STARTERS = frozenset((
    "a", "about", "according", "after", "all", "also", "although", "among", "an", "and", "another", "any", "as",
    "at", "because", "before", "between", "born", "both", "but", "by", "critics", "despite", "during", "each",
    "either", "even", "every", "few", "finally", "first", "following", "for", "four", "from", "furthermore",
    "given", "he", "her", "here", "his", "how", "however", "i", "if", "in", "indeed", "instead", "it", "its",
    "later", "many", "meanwhile", "more", "moreover", "most", "much", "my", "nearly", "no", "now", "of", "on",
    "once", "one", "or", "other", "our", "over", "perhaps", "several", "she", "similarly", "since", "so", "some",
    "soon", "still", "such", "that", "the", "their", "then", "there", "these", "they", "this", "those", "three",
    "through", "throughout", "to", "today", "together", "two", "under", "unlike", "until", "upon", "we", "what",
    "when", "where", "whether", "which", "while", "who", "why", "with", "within", "without", "yet", "you", "your",
))  # fmt: skip
"""Words that begin a sentence, or stand before a name, without being one."""

_NEVER_LAST = frozenset((
    "dr", "mr", "mrs", "ms", "prof", "st", "mt", "ft", "rev", "hon", "gov", "sen", "rep", "gen", "col", "lt",
    "capt", "cpt", "sgt", "maj", "cmdr", "pres", "vs", "fig", "vol", "approx", "ca", "cf", "e.g", "i.e", "eds",
))  # fmt: skip
_BEFORE_NUMBERS = frozenset((
    "no", "nos", "pp", "p", "vol", "ch", "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct",
    "nov", "dec", "c", "b", "d", "est", "age",
))  # fmt: skip
_MAY_BE_LAST = frozenset((
    "jr", "sr", "inc", "ltd", "co", "corp", "etc", "al", "bros", "esq", "dept", "univ", "assn", "ave", "blvd", "rd",
    "ed",
))  # fmt: skip
_ENDS = re.compile(r"""(?<![.!?…])[.!?…]+["'”’»)\]]*(?=\s)|[。！？]["'”’」』]*""")
_NEXT = re.compile(r"""\s*["'“‘«(\[]*(\w[\w’']*)?""")
_TOKEN = re.compile(r"""[^\s("'“‘\[]+$""")
_LETTERS_AND_DOTS = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]")
_ENUMERATES = re.compile(r"\s*\(?\d{1,3}")
LONGEST_TOKEN = 40

_BULLET = re.compile(r"^(?:[-*•·‣▪–]|\d{1,2}[.)])\s+")
_CITATION = re.compile(
    r"\s?\[(?:\d{1,3}|[a-z]|(?:note|nb|n|lower-alpha)\s?\d+|edit|update|who\?|when\?|where\?|by whom\?|"
    r"(?:citation|clarification|page|verification|better source|full citation) needed|dubious[^\]\n]{0,30}|sic)\]",
    re.IGNORECASE,
)
_CRUMBS = re.compile(r"\s[|>»›→•·/]\s")
_MENU_WORDS = 4
_NOTICE = re.compile(
    r"\b(?:we|site|website|page|us|partners) (?:may )?uses? cookies|\bthis (?:web)?site uses|"
    r"\bcookie (?:policy|settings|notice|preferences|consent)|\b(?:accept|reject|manage) (?:all )?cookies|"
    r"\bprivacy (?:policy|notice)|\bterms (?:of|and) (?:use|service|conditions)|\ball rights reserved|©|"
    r"\bcopyright \d{4}|\bsign up (?:for|to) (?:our|the|my)|\bsubscribe (?:to (?:our|the|my)|now)|\bclick here|"
    r"\bread more\b|\bshare this\b|\benable javascript|\bskip to (?:main )?content|"
    r"\bjump to (?:navigation|search)|\bfollow (?:us|me) on\b|\bfrom wikipedia, the free|"
    r"\bthis article (?:needs|is about|may)",
    re.IGNORECASE,
)


def paragraphs(text: str) -> list[list[str]]:
    """The sentences of a text by paragraph. Empty lines part paragraphs; a line that ends by itself is a sentence."""
    clean = _CITATION.sub("", without_invisible(text))
    blocks = (list(_sentences_of(block)) for block in re.split(r"\n\s*\n", clean))
    return [block for block in blocks if block]


def _sentences_of(block: str) -> Iterator[str]:
    for piece in _pieces(block):
        for sentence in split(piece):
            if not is_furniture(sentence):
                yield cut(sentence, SENTENCE_CHARACTERS)


def _pieces(block: str) -> Iterator[str]:
    """Lines that belong together: text that was wrapped is joined, headings and items of a list stand alone."""
    piece: list[str] = []
    for line in (found.strip() for found in block.split("\n")):
        if piece and (_BULLET.match(line) or (len(piece[-1]) < SHORT_LINE and line[:1].isupper())):
            yield " ".join(piece)
            piece = []
        if bare := _BULLET.sub("", line):
            piece.append(bare)
    if piece:
        yield " ".join(piece)


def is_furniture(sentence: str) -> bool:
    """Whether it belongs to a page and not to its text: a menu, a path of links, a notice."""
    parts = _CRUMBS.split(sentence)
    menu = len(parts) > 2 and len(sentence.split()) <= _MENU_WORDS * len(parts)
    return menu or bool(_NOTICE.search(sentence)) or not any(character.isalpha() for character in sentence)


# ---- sentences -----------------------------------------------------------------------------------------------------


def split(text: str) -> Iterator[str]:
    """Sentences of running text. A full stop ends one unless it belongs to an abbreviation, initial or number."""
    start = 0
    for end in _ENDS.finditer(text):
        if _ends_here(text, start, end):
            yield " ".join(text[start : end.end()].split())
            start = end.end()
    if rest := " ".join(text[start:].split()):
        yield rest


def _ends_here(text: str, start: int, end: re.Match[str]) -> bool:
    mark = end.group()
    if mark[0] in "。！？":
        return True
    following = _NEXT.match(text, end.end())
    word = (following.group(1) if following else None) or ""
    if word[:1].islower():
        return False
    if not mark.startswith(".") or mark.startswith(".."):
        return True
    if _ENUMERATES.fullmatch(text, start, end.start()):
        return False
    token = _TOKEN.search(text, max(start, end.start() - LONGEST_TOKEN), end.start())
    return _may_end(token.group().casefold() if token else "", word)


def _may_end(token: str, word: str) -> bool:
    """Whether a full stop after a token ends the sentence, if this word comes next."""
    if token in _NEVER_LAST or (token in _BEFORE_NUMBERS and word[:1].isdigit()):
        return False
    if token in _MAY_BE_LAST or _LETTERS_AND_DOTS.fullmatch(token) or token in ("ph.d", "b.sc", "m.sc", "d.phil"):
        return not word or word.casefold() in STARTERS
    return True


# ---- cutting -------------------------------------------------------------------------------------------------------


def cut(sentence: str, most: int) -> str:
    """The sentence, or its beginning up to the end of a clause and an ellipsis; never more than `most` characters."""
    if len(sentence) <= most:
        return sentence
    head = sentence[: most - 1]
    clause = max(head.rfind(mark) for mark in (", ", "; ", ": ", " – ", " — ", " - "))
    place = clause if clause >= most // 3 else head.rfind(" ")
    return (head[:place] if place > 0 else head).rstrip(" ,;:–—-") + "…"
