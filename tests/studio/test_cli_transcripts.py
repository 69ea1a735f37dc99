"""`diary transcripts`, `repeats` and `shows glossary` against a running stack with scripted engines."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.studio.machine.local import Stack
from tests import kit
from tests.conftest import free_port_base
from tests.studio.test_cli import as_json, diary

pytestmark = [pytest.mark.s3, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = kit.scripted_stack(tmp_path_factory.mktemp("transcripts"), free_port_base(), step_s=0)
    try:
        stack.up()
        yield stack
    finally:
        stack.down()


@pytest.fixture(scope="module")
def recording(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> str:
    audio = tmp_path_factory.mktemp("audio") / "talk.mp3"
    audio.write_bytes(b"ID3" + bytes(range(200)) * 20)
    as_json(diary(stack, "shows", "create", "lamp", "--title", "Lamp", "--host", "Mara Quill", "--json"))
    added = as_json(diary(stack, "recordings", "add", "lamp", str(audio), "--guest", "Dan Date", "--json"))
    as_json(diary(stack, "transcripts", "make", "lamp", added["recording"], "--json"))
    return added["recording"]


def current(stack: Stack, recording: str) -> dict:
    return as_json(diary(stack, "transcripts", "read", "lamp", recording, "--json"))


def verb(stack: Stack, recording: str, name: str, *arguments: str) -> dict:
    return as_json(diary(stack, "transcripts", name, "lamp", recording, *arguments, "--json"))


def test_a_persons_corrections_are_revisions_and_undo_brings_the_transcript_back(stack: Stack, recording: str):
    before = current(stack, recording)

    edited = verb(stack, recording, "edit", "t1", "Welcome back to the other show")
    moved = verb(stack, recording, "reassign", "t2", "--to", "new", "--reason", "a caller")
    after = current(stack, recording)
    undone = [verb(stack, recording, "undo") for _ in range(2)]
    history = verb(stack, recording, "history")
    nothing_left = diary(stack, "transcripts", "undo", "lamp", recording)

    assert edited["summary"].startswith("t1 says") and edited["follow_up"]
    assert (after["turns"][0]["text"], after["turns"][1]["speaker"]) == ("Welcome back to the other show", "S3")
    assert moved["state"] == "machine"
    assert [one["summary"].split(":")[0] for one in undone] == ["undone", "undone"]
    back = current(stack, recording)
    assert [back[name] for name in ("turns", "speakers")] == [before[name] for name in ("turns", "speakers")]
    assert "a caller" in [one["reason"] for one in history] and history[0]["current"]
    assert nothing_left.returncode == 1 and "nothing to undo" in nothing_left.stderr


def test_who_was_slower_is_told_what_others_changed(stack: Stack, recording: str):
    base = current(stack, recording)["id"]
    verb(stack, recording, "rename", "S2", "Dan B. Date")

    late = diary(stack, "transcripts", "settle", "lamp", recording, "t1", "--base", base)

    assert late.returncode == 1
    assert "S2 is called Dan B. Date" in late.stderr and "admin" in late.stderr


def test_approved_is_never_replaced_and_the_new_one_can_be_compared_and_taken(stack: Stack, recording: str):
    approved = verb(stack, recording, "approve")

    again = as_json(diary(stack, "transcripts", "make", "lamp", recording, "--speakers", "3", "--json"))
    kept = current(stack, recording)
    compared = verb(stack, recording, "diff", "--after", again["transcript"])
    taken = verb(stack, recording, "restore", again["transcript"])

    assert (approved["state"], again["current"], kept["state"]) == ("approved", False, "approved")
    assert kept["judged_by"] == "admin"
    assert compared["after"] == again["transcript"]
    assert taken["state"] == "machine"


def test_find_and_replace_shows_the_places_first_and_is_undone_as_a_whole(stack: Stack, recording: str):
    word = current(stack, recording)["turns"][2]["text"].split()[0].strip(",.?!")

    looked = as_json(diary(stack, "transcripts", "replace", "lamp", word, "Zebra", "--json"))
    same = current(stack, recording)
    done = as_json(diary(stack, "transcripts", "replace", "lamp", word, "Zebra", "--yes", "--json"))
    replaced = current(stack, recording)
    undone = as_json(diary(stack, "transcripts", "undo-batch", "lamp", done["batch"], "--json"))

    assert looked["found"] == done["found"] > 0 and looked["batch"] is None
    assert "Zebra" not in json.dumps(same["turns"]) and "Zebra" in json.dumps(replaced["turns"])
    assert undone["changed"] == [recording] and "Zebra" not in json.dumps(current(stack, recording)["turns"])


def test_the_host_is_learnt_recognised_and_forgotten(stack: Stack, recording: str):
    told = as_json(diary(stack, "transcripts", "host", "lamp", recording, "--host-is", "S1", "--json"))
    known = as_json(diary(stack, "transcripts", "voiceprints", "lamp", "--json"))
    removed = as_json(diary(stack, "transcripts", "voiceprints", "lamp", "--remove", "host", "--json"))

    assert told["host_method"] == "set"
    assert [(one["role"], one["recordings"]) for one in known] == [("host", [recording])]
    assert "vector" not in known[0] and removed == []


@pytest.mark.parametrize("form", ["vtt", "srt", "rttm", "txt", "html", "csv", "json"])
def test_a_transcript_goes_out_as_a_file(stack: Stack, recording: str, tmp_path: Path, form: str):
    file = tmp_path / f"talk.{form}"

    done = diary(stack, "transcripts", "export", "lamp", recording, "--format", form, "--out", str(file))

    assert done.returncode == 0, done.stderr
    words = current(stack, recording)["turns"][0]["text"].split()
    assert form == "rttm" or words[1] in file.read_text()


def test_an_exported_file_comes_back_as_a_revision(stack: Stack, recording: str, tmp_path: Path):
    file = tmp_path / "talk.vtt"
    diary(stack, "transcripts", "export", "lamp", recording, "--out", str(file))

    done = as_json(diary(stack, "transcripts", "import", "lamp", recording, str(file), "--json"))

    assert done["recording"] == recording and done["turns"] > 1


def test_review_repeats_and_glossary_answer(stack: Stack, recording: str):
    queue = as_json(diary(stack, "transcripts", "review", "lamp", "--json"))
    terms = as_json(diary(stack, "shows", "glossary", "lamp", "--add", "Quillfeather", "--json"))
    fewer = as_json(diary(stack, "shows", "glossary", "lamp", "--remove", "Quillfeather", "--json"))
    too_early = diary(stack, "repeats", "list", "lamp")
    found = as_json(diary(stack, "repeats", "find", "lamp", "--json"))
    listed = as_json(diary(stack, "repeats", "list", "lamp", "--json"))

    assert set(queue) == {"turns", "minutes_left", "recordings", "items"}
    assert (terms["terms"], fewer["terms"]) == (["Quillfeather"], [])
    assert too_early.returncode == 1 and "diary repeats find" in too_early.stderr
    assert found["clusters"] == len(listed["clusters"])


def test_people_read_tables(stack: Stack, recording: str):
    shown: list[subprocess.CompletedProcess[str]] = [
        diary(stack, "transcripts", "read", "lamp", recording),
        diary(stack, "transcripts", "history", "lamp", recording),
        diary(stack, "transcripts", "review", "lamp"),
        diary(stack, "repeats", "list", "lamp"),
    ]

    assert [done.returncode for done in shown] == [0, 0, 0, 0], [done.stderr for done in shown]
    assert "t1" in shown[0].stdout


def test_without_an_answer_the_question_is_asked(stack: Stack, recording: str):
    asked = diary(stack, "transcripts", "host", "lamp", recording)
    clips = as_json(diary(stack, "transcripts", "host", "lamp", recording, "--json"))

    assert asked.returncode == 0, asked.stderr
    assert "which is the host?" in asked.stdout and "--host-is S1" in asked.stdout
    assert {"S1", "S2"} <= {one["speaker"] for one in clips}
