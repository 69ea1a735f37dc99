"""The plan of a spoken episode; the voices themselves need packages that the tests do without."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from examples.speak import (
    FIRST_SECTION,
    GUEST_VOICES,
    HOST_VOICE,
    LONGEST_GAP_S,
    SHORTEST_GAP_S,
    SpeakError,
    already_spoken,
    fingerprint,
    gaps,
    guest_voice,
    layout,
    left_s,
    load_scripts,
    main,
    need_packages,
    parse_script,
    reference,
)

PATH = Path("01-fox.txt")
SCRIPT = """\
title: A Fox at the Door
guest: Ben Marsh

# trailer
Ben Marsh: He is not mine.
# interview
Mara Quill: Tonight: Ben Marsh. Hello, Ben.
Ben Marsh: Hello.
"""


def test_a_script_becomes_turns_with_their_sections():
    script = parse_script(SCRIPT, PATH)

    assert (script.title, script.guest, script.host) == ("A Fox at the Door", "Ben Marsh", "Mara Quill")
    assert [(turn.speaker, turn.text, turn.section, turn.line) for turn in script.turns] == [
        ("Ben Marsh", "He is not mine.", "trailer", 5),
        ("Mara Quill", "Tonight: Ben Marsh. Hello, Ben.", "interview", 7),
        ("Ben Marsh", "Hello.", "interview", 8),
    ]


def test_turns_before_any_mark_are_interview():
    script = parse_script("title: T\nguest: B\n\nA: Hello.\nB: Hello.\n", PATH)

    assert {turn.section for turn in script.turns} == {FIRST_SECTION}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("Ben Marsh: Hello.", "Hello.", r"01-fox\.txt:8: no speaker in 'Hello\.'; write `Name: text`"),
        ("Ben Marsh: Hello.", "Ben Marsh: ...", r"01-fox\.txt:8: Ben Marsh says nothing; add words"),
        ("Ben Marsh: Hello.", "Ben Mash: Hello.", r"01-fox\.txt:8: a third speaker, 'Ben Mash'; use `Ben Marsh`"),
        ("# trailer", "#", r"01-fox\.txt:4: a section mark without a name"),
        ("title: A Fox at the Door\n", "", r"01-fox\.txt: no title; put `title: \.\.\.`"),
        ("guest: Ben Marsh", "guest:", r"01-fox\.txt: no guest; put `guest: \.\.\.`"),
        ("guest: Ben Marsh", "guest: Rosa", r"01-fox\.txt: the guest 'Rosa' never speaks; start"),
        ("Mara Quill: ", "Ben Marsh: ", r"01-fox\.txt: only 'Ben Marsh' speaks; add the host's turns"),
    ],
)
def test_a_bad_script_is_refused_with_the_place_and_the_fix(old, new, says):
    with pytest.raises(SpeakError, match=says):
        parse_script(SCRIPT.replace(old, new), PATH)


def test_four_guests_have_four_voices_and_none_is_the_hosts():
    voices = [guest_voice(order) for order in range(5)]

    assert len(set(voices[:4])) == 4
    assert voices[4] == voices[0]
    assert HOST_VOICE not in GUEST_VOICES


def test_gaps_vary_within_bounds_and_never_between_runs():
    quiet_s = gaps(30)

    assert quiet_s == gaps(30)
    assert len(quiet_s) == 31
    assert all(SHORTEST_GAP_S <= gap <= LONGEST_GAP_S for gap in quiet_s)
    assert len(set(quiet_s)) > 20


def test_layout_puts_each_turn_after_its_gap():
    spans = layout([2.0, 1.0], [0.5, 0.25, 0.5])

    assert spans == [(0.5, 2.5), (2.75, 3.75)]


def test_reference_says_who_spoke_when_and_what():
    script = parse_script(SCRIPT, PATH)

    truth = reference(script, layout([1.0, 2.0, 0.5], [0.5, 0.25, 0.25, 0.5]), 5.0, "sha")

    assert (truth["title"], truth["guest"], truth["host"]) == ("A Fox at the Door", "Ben Marsh", "Mara Quill")
    assert truth["turns"][1] == {
        "speaker": "Mara Quill",
        "start_s": 1.75,
        "end_s": 3.75,
        "text": "Tonight: Ben Marsh. Hello, Ben.",
        "section": "interview",
    }


def test_fingerprint_changes_with_the_words_and_with_the_voice():
    same = fingerprint(SCRIPT, guest_voice(0))

    assert same == fingerprint(SCRIPT, guest_voice(0))
    assert len({same, fingerprint(SCRIPT + "\n", guest_voice(0)), fingerprint(SCRIPT, guest_voice(1))}) == 3


def test_time_left_follows_the_pace_so_far():
    assert left_s(elapsed_s=3.0, done=100, total=500) == pytest.approx(12.0)
    assert left_s(elapsed_s=0.0, done=0, total=500) > 0


def _folder_with_one_spoken_script(tmp_path: Path) -> Path:
    (tmp_path / "fox.txt").write_text(SCRIPT)
    made_from = fingerprint(SCRIPT, guest_voice(0))
    (tmp_path / "fox.mp3").write_bytes(b"sound")
    (tmp_path / "fox.reference.json").write_text(f'{{"duration_s": 9.5, "made_from_sha256": "{made_from}"}}')
    return tmp_path


def test_a_spoken_script_is_not_spoken_again(tmp_path, capsys):
    folder = _folder_with_one_spoken_script(tmp_path)

    status = main(["--scripts", str(folder), "--out", str(folder)])

    assert status == 0
    assert "3 turns, 10 s, already there" in capsys.readouterr().out
    assert (folder / "fox.mp3").read_bytes() == b"sound"


def test_a_changed_script_or_a_lost_or_damaged_file_is_spoken_again(tmp_path):
    folder = _folder_with_one_spoken_script(tmp_path)
    [(script, made_from)] = load_scripts(folder)

    assert already_spoken(script, folder, made_from)
    assert not already_spoken(script, folder, "made from other words")
    (folder / "fox.reference.json").write_text('{"title": "A F')
    assert not already_spoken(script, folder, made_from)
    _folder_with_one_spoken_script(tmp_path)
    (folder / "fox.mp3").unlink()
    assert not already_spoken(script, folder, made_from)


def test_an_empty_folder_says_what_belongs_there(tmp_path, capsys):
    status = main(["--scripts", str(tmp_path), "--out", str(tmp_path / "out")])

    assert status == 1
    assert "put a .txt there or name another folder with --scripts" in capsys.readouterr().err


def test_a_script_in_another_encoding_is_named(tmp_path):
    (tmp_path / "old.txt").write_bytes("title: Café".encode("latin-1"))

    with pytest.raises(SpeakError, match=r"old\.txt: not UTF-8 at byte 10; save"):
        load_scripts(tmp_path)


def test_missing_packages_are_named_with_the_command_that_installs_them():
    assert find_spec("no_such_voice") is None

    with pytest.raises(SpeakError, match=r"speaking needs no-such-voice; run `.* -m pip install no-such-voice`"):
        need_packages({"no_such_voice": "no-such-voice", "json": "json"})


def test_every_published_script_can_be_read():
    folder = Path(__file__).parents[2] / "examples" / "spoken"

    scripts = [script for script, _ in load_scripts(folder)]

    assert len({script.host for script in scripts}) == 1
