"""Host turns that answer themselves: the guest's words in the host's mouth, as a model learns it from bad diarisation.

A heuristic over sentences, made for few false alarms; it cannot see an answer that neither says yes or no nor takes up
the question's words. Pure.
"""

from __future__ import annotations

import re

REACH = 2  # sentences between what is asked and its answer, at most
ECHO_WORDS = 2  # of a question that its answer takes up

_SENTENCE = re.compile(r"(?<=[.!?…])[\"'”’)]*\s+")
_OWN = re.compile(r"\b(?:i|i'm|i've|i'd|i'll|me|my|we|we're|we've|our)\b")
_YES_OR_NO = re.compile(r"(?:oh,? |well,? )?(?:yeah|yes|yep|yup|no|nope)\b")
_I = re.compile(r"(?:oh,? |well,? |so,? |um,? )?(?:i|i'm|i've|i'd|we|we're|we've|my)\b")
_TO_THE_GUEST = re.compile(r"\b(?:you|you're|you've|you'd|your|yours|yourself)\b")
_LONG_WORD = re.compile(r"[a-z']{4,}")
_COMMON = re.compile(
    r"about|been|could|does|from|have|just|know|like|really|said|some|that|their|them|then|there|they|think|this|very|"
    r"want|were|what|when|where|which|with|would|your|you're|you've"
)


def answers_itself(text: str) -> bool:
    """Whether a host turn speaks to the guest, and then answers in the guest's stead.

    That is: "yes" or "no" with a first person in the same sentence, or a first person that takes up the words of the
    question just before it, as in "What were the main arguments you made? I think one of the main arguments I made".

    source   the prototype's checkpoint 240, whose host does it five times to one guest
    """
    sentences = _SENTENCE.split(text.lower().replace("’", "'"))
    return any(
        _says_yes_for(sentence, sentences[max(0, at - REACH) : at]) or _takes_up(sentence, sentences[at - 1])
        for at, sentence in enumerate(sentences)
        if at
    )


def _says_yes_for(sentence: str, before: list[str]) -> bool:
    asked = any(_TO_THE_GUEST.search(earlier) or earlier.endswith("?") for earlier in before)
    return asked and bool(_YES_OR_NO.match(sentence) and _OWN.search(sentence)) and not _TO_THE_GUEST.search(sentence)


def _takes_up(sentence: str, question: str) -> bool:
    if not (question.endswith("?") and _TO_THE_GUEST.search(question) and _I.match(sentence)):
        return False
    if sentence.endswith("?") or _TO_THE_GUEST.search(sentence):
        return False
    return len(_content(question) & _content(sentence)) >= ECHO_WORDS


def _content(sentence: str) -> set[str]:
    return {word for word in _LONG_WORD.findall(sentence) if not _COMMON.fullmatch(word)}
