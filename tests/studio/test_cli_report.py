"""`diary report` as people and scripts use it, and what it says of the prototype's transcripts and of real talk."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from services.studio.cli import app
from services.studio.machine.local import ROOT
from tests.conftest import SHARED

# Guest by guest: words, turns, unclosed, end marks, one-word share, rep-4, longest repeat, worst window, tail.
# From its README, figures of others' script: ours are to be near.
TABLE = {
    "base": [
        (1606, 8, 0, 2237, 0.00, 0.71, 1071, 0.02, 0.21),
        (1491, 9, 0, 2077, 0.00, 0.73, 1002, 0.57, 0.71),
        (2040, 3, 0, 1056, 0.00, 0.79, 1611, 0.92, 0.96),
    ],
    "checkpoint-240": [
        (3265, 32, 2, 0, 0.20, 0.44, 143, 0.81, 0.88),
        (3084, 44, 0, 0, 0.09, 0.32, 109, 0.72, 0.59),
        (3114, 6, 0, 0, 0.00, 0.62, 1257, 0.96, 0.98),
    ],
}
# What each of these figures must be called when it is out of the ordinary.
FAULTS = {
    "unclosed": (0, "unclosed turn"),
    "eos_runs": (0, "end marks"),
    "one_word_share": (0.1, "one-word replies"),
    "rep4": (0.15, "repeats itself: "),
    "longest_repeat_words": (40, "longest repeated span"),
    "worst_window_rep4": (0.15, "goes round in circles"),
    "tail_rep4": (0.15, "repeats itself at the end"),
}
RAW = "<s> [INST] Who are you? [/INST]A baker.</s> [INST] And why? [INST] So? [/INST]So it goes.</s>"
REAL = ("audio/nasa-hwhap414-a.reference.json", "transcripts/nasa-hwhap193-panel.txt")


def shared(path: str) -> Path:
    if not (SHARED / path).is_file():
        pytest.skip(f"no ../shared/{path} beside this checkout")
    return SHARED / path


def diary(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The command as a person runs it: no stack, no settings."""
    command = [sys.executable, "-m", "services.studio.cli", *map(str, arguments)]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "COLUMNS": "120"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def reports(*files: Path) -> list[dict[str, Any]]:
    shown = CliRunner().invoke(app, ["report", *map(str, files), "--json"])
    assert shown.exit_code == 0, shown.output
    return json.loads(shown.output)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    path = tmp_path / "two.txt"
    path.write_text(RAW + RAW.replace("[INST] And why? ", ""))
    return path


def test_a_person_reads_each_figure_its_range_a_mark_and_one_verdict_per_episode(raw: Path):
    shown = diary("report", raw)

    assert shown.returncode == 0, shown.stderr
    lines = shown.stdout.splitlines()
    (unclosed, _) = (line.replace("│", " ").split() for line in lines if "unclosed turns" in line)
    assert unclosed == ["unclosed", "turns", "1", "0", "bad"]
    assert [line for line in lines if line.startswith("verdict")] == [
        "verdict not usable: host and guest do not alternate, 1 unclosed turn",
        "verdict sound, 9 words: nothing out of the ordinary",
    ]
    assert [line.split(":")[0] for line in lines if line.startswith("two.txt")] == ["two.txt, 1", "two.txt, 2"]


def test_a_script_reads_one_list_with_an_object_per_episode(raw: Path):
    shown = diary("report", raw, "--json")

    assert shown.returncode == 0 and shown.stdout.count("\n") == 1
    first, second = json.loads(shown.stdout)
    assert (first["file"], first["episode"], second["episode"]) == (str(raw), 1, 2)
    assert (first["unclosed"], second["unclosed"], second["findings"]) == (1, 0, [])
    assert first["findings"] == ["host and guest do not alternate", "1 unclosed turn: broken off without an end mark"]
    asked = (
        *("words", "turns", "unclosed", "eos_runs", "one_word_share", "rep4", "worst_window_rep4", "tail_rep4"),
        *("longest_repeat_words", "answers_in_host_turns", "host_share", "guest_median_words", "compression"),
    )
    assert set(asked) <= set(first)


def test_it_is_a_verb_of_episodes_too_and_takes_several_files(raw: Path, tmp_path: Path):
    other = tmp_path / "names.txt"
    other.write_text("Mara Quill: Who are you?\nAnn Ash: A baker.")

    shown = CliRunner().invoke(app, ["episodes", "report", str(raw), str(other), "--host", "Mara Quill", "--json"])

    assert shown.exit_code == 0, shown.output
    found = json.loads(shown.output)
    assert [Path(report["file"]).name for report in found] == ["two.txt", "two.txt", "names.txt"]
    assert found[2]["host_share"] == 0.6


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("absent.txt", None, "is no file; name a transcript"),
        ("empty.txt", b"", "the file is empty; it is read as"),
        ("talk.mp3", b"ID3\x00\x01", "`diary transcripts make`"),
        ("story.txt", b"Once upon a time.", "in which every turn starts with its speaker"),
    ],
)
def test_what_cannot_be_read_is_one_line_that_names_file_and_fix(tmp_path, name, content, told):
    if content is not None:
        (tmp_path / name).write_bytes(content)

    shown = diary("report", tmp_path / name, "--json")

    assert (shown.returncode, shown.stdout) == (1, "")
    assert shown.stderr.startswith(f"error: {tmp_path / name}") and told in shown.stderr
    assert shown.stderr.count("\n") == 1


@pytest.mark.parametrize("name", TABLE)
def test_the_prototypes_figures_are_found_again_and_every_failure_is_a_finding(name):
    found = reports(shared(f"prototype/{name}.txt"))

    for report, row in zip(found, TABLE[name], strict=True):
        words, turns, unclosed, eos, one_word, rep4, longest, window, tail = row
        assert (report["words"], report["turns"], report["unclosed"]) == (words, turns, unclosed)
        assert (report["eos_runs"], report["longest_repeat_words"]) == (eos, longest)
        assert report["one_word_share"] == pytest.approx(one_word, abs=0.006)
        assert report["rep4"] == pytest.approx(rep4, abs=0.006)
        assert report["worst_window_rep4"] == pytest.approx(window, abs=0.006)
        assert report["tail_rep4"] == pytest.approx(tail, abs=0.006)
        for figure, (limit, said) in FAULTS.items():
            assert any(said in finding for finding in report["findings"]) == (report[figure] > limit), figure
        assert report["verdict"].startswith("not usable: ")


def test_the_prototypes_episodes_keep_their_order_from_best_to_worst():
    found = [report for name in TABLE for report in reports(shared(f"prototype/{name}.txt"))]
    rows = [row for name in TABLE for row in TABLE[name]]

    for figure, column in (("rep4", 5), ("longest_repeat_words", 6), ("worst_window_rep4", 7), ("tail_rep4", 8)):
        assert ranking([report[figure] for report in found]) == ranking([row[column] for row in rows]), figure


def ranking(values: list[float]) -> list[int]:
    return sorted(range(len(values)), key=lambda at: values[at])


def test_the_host_who_answered_himself_is_found_and_no_other():
    elon, obama, clarkson = reports(shared("prototype/checkpoint-240.txt"))

    assert elon["answers_in_host_turns"] >= 4
    assert "host turns with the guest's answer" in elon["verdict"]
    assert (obama["answers_in_host_turns"], clarkson["answers_in_host_turns"]) == (0, 0)


def test_the_verdict_says_where_in_an_episode_it_is_and_holds_25_words_at_most():
    found = [report for name in TABLE for report in reports(shared(f"prototype/{name}.txt"))]

    for report in found:
        assert len(report["quarters"]) == 4 and len(report["verdict"].split()) <= 25
        assert sum(quarter["words"] for quarter in report["quarters"]) == report["words"]
    assert found[5]["verdict"].startswith("not usable: repeats itself from the second quarter on")
    assert "goes round in circles from the second quarter on" in "; ".join(found[3]["findings"])
    assert "5 host turns with the guest's answer in it, in the first half" in found[3]["findings"]


@pytest.mark.parametrize("path", REAL)
def test_real_talk_is_sound(path):
    (report,) = reports(shared(path))

    assert report["findings"] == [] and report["verdict"].startswith("sound")
    assert (report["made_by"], report["answers_in_host_turns"], report["unclosed"]) == ("people", 0, 0)


def test_the_examples_hosts_are_told_by_name_and_only_the_advert_is_found():
    files = sorted((ROOT / "examples" / "published").iterdir())
    shown = CliRunner().invoke(app, ["report", *map(str, files), "--host", "Mara Quill", "--json"])

    found = {Path(report["file"]).stem: report["findings"] for report in json.loads(shown.output)}

    assert {name: said for name, said in found.items() if said} == {
        "09-philippa-dunmore": ["advert words in the third quarter: “brought to you by”, “use the code”, “at checkout”"]
    }


# ---- beside the show's real talk -------------------------------------------------------------------------------------


def compared(file: Path, like: list[Path], *options: str) -> dict[str, Any]:
    arguments = [part for path in like for part in ("--like", str(path))]
    shown = CliRunner().invoke(app, ["report", str(file), *arguments, "--host", "Mara Quill", "--json", *options])
    assert shown.exit_code == 0, shown.output
    (report,) = json.loads(shown.output)
    return report


def test_each_real_conversation_of_a_show_is_like_the_others():
    files = sorted((ROOT / "examples" / "published").iterdir())[:8]

    for file in files:
        report = compared(file, [other for other in files if other != file])

        assert report["verdict"].startswith("sound"), (file.name, report["findings"])
        assert report["manner"]["conversations"] == 7
        assert max(report["host_distance"], report["guest_distance"]) < 1.2


def test_an_episode_unlike_the_show_is_told_in_what():
    files = sorted((ROOT / "examples" / "published").iterdir())[:8]
    arguments = [str(part) for path in files for part in ("--like", path)]
    source = str(shared("prototype/checkpoint-240.txt"))

    shown = CliRunner().invoke(app, ["report", source, *arguments, "--host", "Mara Quill", "--json"])

    for report in json.loads(shown.output):
        said = "; ".join(report["findings"])
        assert "the guest talks unlike the show's guests" in said
        assert report["guest_distance"] > 2 * report["manner"]["ranges"]["guest_distance"]["median"]


def test_a_person_sees_the_shows_own_figures_and_each_quarter():
    files = sorted((ROOT / "examples" / "published").iterdir())[:4]
    like = [part for path in files[1:] for part in ("--like", path)]

    shown = diary("report", files[0], *like, "--host", "Mara Quill")

    assert shown.returncode == 0, shown.stderr
    (share,) = (line for line in shown.stdout.splitlines() if "host's share of the words" in line and " to " in line)
    assert len([cell for cell in share.split("│") if "%" in cell]) == 3
    (words,) = (line for line in shown.stdout.splitlines() if line.startswith("│ words ") and line.count("│") == 6
                and "-" not in line)  # fmt: skip
    assert sum(int(cell) for cell in words.split("│")[2:6]) == compared(files[0], [files[1]])["words"]
    assert "the show: median of 3 real conversations" in shown.stdout and "fewer than 5" in shown.stdout


def test_one_transcript_shows_the_shows_figure_and_changes_nothing_of_what_is_normal():
    files = sorted((ROOT / "examples" / "published").iterdir())[:2]

    shown = diary("report", files[0], "--like", files[1], "--host", "Mara Quill")

    assert "the show: median of 1 real conversation" in shown.stdout and "normal anywhere" in shown.stdout
    assert "5% to 50%" in shown.stdout


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (RAW, "is an AI episode; --like takes real transcripts"),
        ("Ann: Who are you?\nBob: A baker.", "does not say who is the host; name who it is with --host"),
        ("Ann (Host): Who are you?\nBob: A baker.", "none of the --like files has 100 words of the host"),
    ],
)
def test_what_is_no_yardstick_is_one_line_that_says_so(raw: Path, tmp_path: Path, content: str, told: str):
    (tmp_path / "real.txt").write_text(content)

    shown = diary("report", raw, "--like", tmp_path / "real.txt")

    assert (shown.returncode, shown.stdout) == (1, "")
    assert told in shown.stderr and shown.stderr.count("\n") == 1
