"""References as people have them, and what is said about those that are none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.transcription.reference import read_reference
from shared.errors import BadInputError

RTTM = (
    "SPEAKER talk 1 0.500 1.500 <NA> <NA> Ann <NA> <NA>\n"
    ";; a comment\n\n"
    "SPEAKER talk 1 2.000 0.500 <NA> <NA> Ben <NA> <NA>\n"
)


def written(folder: Path, name: str, content: object) -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_a_json_says_who_said_what(tmp_path):
    turns = [{"speaker": "Ann", "text": "Hello."}, {"speaker": "Ben", "text": "Hi.", "section": "intro"}]

    found = read_reference(written(tmp_path, "talk.json", {"speakers": {"Ann": "host"}, "turns": turns}), "talk")

    assert found.said == (("Ann", "Hello."), ("Ben", "Hi."))
    assert found.talk == ()


@pytest.mark.parametrize(("start", "end"), [("start", "end"), ("start_s", "end_s")])
def test_a_json_may_say_when_too(tmp_path, start, end):
    turns = [{"speaker": "Ann", "text": "Hello.", start: 0.5, end: 2}]

    found = read_reference(written(tmp_path, "talk.json", {"turns": turns}), "talk")

    assert found.talk == ((0.5, 2.0, "Ann"),)


def test_a_rttm_says_who_spoke_when(tmp_path):
    found = read_reference(written(tmp_path, "talk.rttm", RTTM), "another name")

    assert found.said == ()
    assert found.talk == ((0.5, 2.0, "Ann"), (2.0, 2.5, "Ben"))


@pytest.mark.parametrize("name", ["talk.json", "talk.reference.json"])
def test_times_that_a_json_lacks_are_in_the_rttm_beside_it(tmp_path, name):
    written(tmp_path, "talk.rttm", RTTM)
    reference = written(tmp_path, name, {"turns": [{"speaker": "Ann", "text": "Hello."}]})

    assert len(read_reference(reference, "talk").talk) == 2


def test_of_a_rttm_of_many_recordings_the_one_with_the_name_counts(tmp_path):
    path = written(tmp_path, "all.rttm", RTTM + RTTM.replace(" talk ", " other "))

    assert len(read_reference(path, "other").talk) == 2
    with pytest.raises(BadInputError, match="tells of other, talk, not of mine"):
        read_reference(path, "mine")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("talk.json", "{", "JSON"),
        ("talk.json", {"words": []}, "turns: Field required"),
        ("talk.json", {"turns": [{"speaker": "Ann"}]}, "turns.0.text: Field required"),
        ("talk.json", {"turns": []}, "has no words"),
        ("talk.json", {"turns": [{"speaker": "Ann", "text": " "}]}, "has no words"),
        ("talk.json", {"turns": [{"speaker": "A", "text": "a", "start": 2, "end": 1}]}, "turn 1 does not end after"),
        (
            "talk.json",
            {"turns": [{"speaker": "A", "text": "a", "start": 1, "end": 2}, {"speaker": "A", "text": "b"}]},
            "turn 2 lacks a time",
        ),
        ("talk.rttm", "", "no SPEAKER line"),
        ("talk.rttm", "SPEAKER talk 1 0.5", "talk.rttm:1: not as in RTTM"),
        ("talk.rttm", RTTM.replace("1.500", "nan"), "talk.rttm:1: not as in RTTM"),
        ("talk.rttm", RTTM.replace("0.500 <", "-1 <"), "talk.rttm:4: not as in RTTM"),
        ("talk.txt", "Ann: Hello.", "neither .json nor .rttm"),
    ],
)
def test_a_file_that_is_no_reference_is_refused_with_the_place(tmp_path, name, content, says):
    with pytest.raises(BadInputError, match=says):
        read_reference(written(tmp_path, name, content), "talk")


def test_a_missing_or_unreadable_file_is_named(tmp_path):
    with pytest.raises(BadInputError, match=r"none\.json cannot be read: No such file"):
        read_reference(tmp_path / "none.json", "talk")
    (tmp_path / "latin.json").write_bytes(b"\xff\xfe{")
    with pytest.raises(BadInputError, match="not UTF-8"):
        read_reference(tmp_path / "latin.json", "talk")
