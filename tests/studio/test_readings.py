"""Which conversations a file has in it, in every form that is read."""

from __future__ import annotations

import json

import pytest

from services.studio.readings import Conversation, read
from shared.errors import BadInputError
from shared.report import Spoken
from shared.schemas import Episode
from shared.store import load
from tests.fakes import MemoryStore
from tests.studio.a_show import put_show

RAW = "<s><s> [INST] Who are you? [/INST]A baker.</s> [INST] Since when? [/INST]Ever since.</s>"


def one(text: str, host: str | None = None) -> Conversation:
    (found,) = read(text.encode(), host=host)
    return found


def roles(conversation: Conversation) -> str:
    return "".join((turn.role or "?")[0] for turn in conversation.turns)


# ---- a model's raw text ----------------------------------------------------------------------------------------------


def test_raw_text_becomes_turns_of_host_and_guest():
    found = one(RAW)

    assert found.turns == (
        Spoken("host", "Who are you?"),
        Spoken("guest", "A baker."),
        Spoken("host", "Since when?"),
        Spoken("guest", "Ever since."),
    )
    assert (found.made_by, found.eos_runs) == ("model", 0)
    assert found.title == "Who are you? A baker. Since when? Ever since."


def test_several_episodes_in_one_file_start_with_their_mark():
    found = read(f"{RAW}\n{RAW.replace('baker', 'judge')}".encode())

    assert [talk.turns[1].text for talk in found] == ["A baker.", "A judge."]


def test_a_host_turn_that_any_other_mark_ends_is_unclosed():
    found = one("<s>[INST] Who are you? Yeah, a baker.</s> [INST] Since when? [INST] Still? [/INST]Yes.</s> [INST] And")

    assert [(turn.role, turn.closed) for turn in found.turns] == [
        ("host", False),
        ("host", False),
        ("host", True),
        ("guest", True),
        ("host", False),
    ]


def test_bare_marks_are_empty_turns():
    found = one("<s>[INST] Who? [/INST]</s> [INST] [/INST] [INST] [INST] [INST]")

    assert [(turn.role, turn.text, turn.closed) for turn in found.turns] == [
        ("host", "Who?", True),
        ("guest", "", True),
        ("host", "", True),
        ("guest", "", True),
        ("host", "", False),
        ("host", "", False),
        ("host", "", False),
    ]


def test_end_marks_in_runs_are_counted_and_are_no_turns_while_what_follows_is_the_guests():
    found = one("<s>[INST] Who? [/INST]A baker.</s></s></s></s>industries and</s></s> [INST] So? [/INST]So.</s>")

    assert found.eos_runs == 4
    assert roles(found) == "hgghg"


# ---- JSON ------------------------------------------------------------------------------------------------------------


def turns(*texts: str, **more: object) -> list[dict[str, object]]:
    return [{"role": "guest" if at % 2 else "host", "text": text, **more} for at, text in enumerate(texts)]


def test_an_episode_as_it_is_stored_is_read():
    store = MemoryStore()
    stored = load(store, put_show(store), Episode)

    found = one(stored.model_dump_json())

    assert [turn.text for turn in found.turns] == [turn.text for turn in stored.turns]
    assert (found.made_by, found.target_words) == ("model", stored.brief.words)


def test_an_ai_episode_is_read_with_the_length_it_was_to_have():
    found = one(
        json.dumps(
            {
                "id": "e1",
                "guest": "Orla",
                "ai_generated": True,
                "brief": {"words": 400, "guest": "Orla"},
                "turns": turns("Who?", "Me", closed=False),
            }
        )
    )

    assert found == Conversation(
        title="e1 with Orla",
        turns=(Spoken("host", "Who?", closed=False), Spoken("guest", "Me", closed=False)),
        made_by="model",
        target_words=400,
    )


def test_bare_turns_are_a_models_and_a_list_of_talks_is_several():
    bare = one(json.dumps(turns("Who?", "Me.")))
    several = read(json.dumps([{"turns": turns("Who?")}, {"turns": turns("Why?")}]).encode())

    assert (bare.made_by, roles(bare)) == ("model", "hg")
    assert [talk.turns[0].text for talk in several] == ["Who?", "Why?"]


def test_a_transcript_of_ours_and_a_reference_name_their_host():
    ours = {
        "speakers": [{"label": "S1", "role": "guest", "name": "Ann"}, {"label": "S2", "role": "host", "name": None}],
        "turns": [
            {"speaker": "S2", "role": "host", "start_s": 0, "end_s": 1, "text": "Who?"},
            {"speaker": "S1", "role": "guest", "start_s": 1, "end_s": 2, "text": "Ann."},
            {"speaker": "S1", "role": "other", "start_s": 2, "end_s": 3, "text": "Me."},
        ],
    }
    reference = {"speakers": {"Kenna": "host", "Lisa": "guest"}, "turns": [{"speaker": "Kenna", "text": "Who?"}]}

    assert (one(json.dumps(ours)).made_by, roles(one(json.dumps(ours)))) == ("people", "hg?")
    assert [turn.speaker for turn in one(json.dumps(ours)).turns] == ["S2", "Ann", "Ann"]
    assert (one(json.dumps(reference)).made_by, roles(one(json.dumps(reference)))) == ("people", "h")


def test_podcastings_json_is_read_as_elsewhere():
    segments = [{"speaker": who, "startTime": at, "endTime": at + 1, "body": "Hi."} for at, who in enumerate("AB")]

    found = one(json.dumps({"version": "1.0.0", "segments": segments}), host="B")

    assert (found.title, roles(found)) == ("A and B", "gh")


# ---- transcripts of others -------------------------------------------------------------------------------------------


def test_names_vtt_and_srt_are_read_as_elsewhere():
    names = one("title: Bread\n\nMara Quill: Who?\nAnn Ash: Me.\n")
    vtt = one("WEBVTT\n\n00:01.000 --> 00:02.000\n<v Mara Quill>Who?\n\n00:02.000 --> 00:03.000\n<v Ann Ash>Me.\n")
    srt = one("1\n00:00:01,000 --> 00:00:02,000\nWho?\n")

    assert names.title == "Bread" and vtt.title == "Mara Quill and Ann Ash"
    assert (names.turns, names.made_by) == (vtt.turns, vtt.made_by)
    assert [turn.text for turn in srt.turns] == ["Who?"]


def test_nobody_is_taken_for_the_host_by_order_but_by_a_mark_or_by_being_named():
    text = "Mara Quill: Who?\nAnn Ash: Me.\nBea: I too."

    assert roles(one(text)) == "???"
    assert roles(one(text, host="mara")) == "hgg"
    assert roles(one(text.replace("Ann Ash:", "Ann Ash (Host):"))) == "ghg"
    assert roles(one(json.dumps(turns("Who?", "Me.")), host="Mara")) == "hg", "who is known already stays"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "is empty; it is read as"),
        (b" \n", "is empty; it is read as"),
        (b"ID3\x03\x00\xff\xfb", "no text; .* `diary transcripts make`"),
        (b"Once upon a time there was a file.", "no conversation is in the file; it is read as"),
        (b"SPEAKER talk 1 0.0 1.0 <NA> <NA> Ann <NA> <NA>", "no conversation is in the file"),
        (b"{", "starts like JSON and is none"),
        (b"[]", "empty list"),
        (b'{"words": 3}', r"turns: Field required.* it needs `turns`"),
        (b'{"turns": [{"role": "host"}]}', r"turns.0.text: Field required"),
        (b'{"turns": []}', "nobody says anything"),
        (b"<s><s>", "nobody says anything"),
        (b"WEBVTT\n\n00:03.000 --> 00:02.000\n<v A>Hi", "ends before it starts"),
    ],
)
def test_what_is_no_conversation_is_refused_with_the_fix(data: bytes, told: str):
    with pytest.raises(BadInputError, match=told):
        read(data)


def test_a_host_who_does_not_speak_is_answered_with_those_who_do():
    with pytest.raises(BadInputError, match="'Zoe' is no speaker of it; name one of: Mara, Ann"):
        read(b"Mara: Who?\nAnn: Me.", host="Zoe")


# ---- what a report of an episode keeps -------------------------------------------------------------------------------


def an_episode_of(**report: object) -> str:
    turns = [{"role": "host", "text": "Who are you?"}, {"role": "guest", "text": "A baker."}]
    brief = {"words": 300, "guest": "Ann Ash", "about": "bread", "facts": ["She bakes in Lima."]}
    return json.dumps(
        {"id": "e1", "show": "lamp", "guest": "Ann Ash", "host": "Mara Quill", "ai_generated": True, "brief": brief}
        | {"turns": turns, "report": {"words": 5, "verdict": "sound"} | report}
    )


def test_an_episodes_brief_is_its_fact_sheet_and_names_are_known():
    assert one(an_episode_of()).facts == ("She bakes in Lima.", "bread", "Ann Ash", "Mara Quill", "lamp")
    assert one(json.dumps({"turns": [{"role": "host", "text": "Who?"}], "guest": "Ann Ash"})).facts is None


def test_what_only_models_and_the_store_know_is_kept_of_its_report():
    likelihood = {"perplexity": 9.5, "scored_words": 5}
    span = {"turn": 1, "first_word": 0, "last_word": 2, "recording": "r1"}

    kept = one(an_episode_of(likelihood=likelihood, recited=[span], unsourced=[])).kept

    assert kept.likelihood is not None and kept.likelihood.perplexity == 9.5
    assert kept.recited is not None and kept.recited[0].recording == "r1"
    assert (kept.unsourced, kept.answers_by_likelihood, kept.manner) == ((), None, None)
