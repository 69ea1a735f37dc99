"""Transcripts as files: what other programs read, whatever a name or a text holds."""

from __future__ import annotations

import csv
import io
from itertools import pairwise

import pytest

from services.studio.formats import CUE_LETTERS, CUE_S, FORMS, cues_of, file_name, stamp
from shared.published import parse_beside_audio
from shared.schemas import Blob, Chapter, ExcludedSpan, Recording, Transcript, TranscriptState, now
from tests.transcription.conftest import lineage
from tests.transcription.talks import transcript

BLOB = Blob(key="blobs/x", sha256="0" * 64, bytes=1, media_type="audio/mpeg")


def recording(**facts: object) -> Recording:
    told = {
        "id": "rec1",
        "show": "demo",
        "title": "A <b>Talk</b>",
        "source": "x",
        "original": BLOB,
        "lineage": lineage(),
    }
    return Recording.model_validate({**told, **facts})


def written(form: str, of: Transcript | None = None, **facts: object) -> str:
    return FORMS[form].write(of or transcript(), recording(**facts))


def named(name: str) -> Transcript:
    talk = transcript()
    speakers = [one.model_copy(update={"name": name}) if one.label == "S1" else one for one in talk.speakers]
    return talk.model_copy(update={"speakers": tuple(speakers)})


def saying(text: str) -> Transcript:
    return transcript([("S1", text), ("S2", "Yes.")])


@pytest.mark.parametrize("form", ["vtt", "srt"])
def test_a_subtitle_file_is_read_back_with_all_words_names_and_times(form: str):
    talk = transcript()

    back = parse_beside_audio(written(form))

    names = {one.label: one.name or one.label for one in talk.speakers}
    assert [(turn.speaker, turn.text) for turn in back.turns] == [(names[t.speaker], t.text) for t in talk.turns]
    assert [turn.start_s for turn in back.turns] == [pytest.approx(turn.start_s, abs=0.002) for turn in talk.turns]


@pytest.mark.parametrize("form", ["vtt", "srt", "txt", "html", "csv"])
@pytest.mark.parametrize("words", ["a --> b", "<script>alert(1)</script>", "fish & chips", "two\nlines\n\nand a third"])
def test_hostile_words_stay_words(form: str, words: str):
    out = written(form, saying(words))

    assert "<script>" not in out or form in ("srt", "txt", "csv")
    if form in ("vtt", "srt"):
        back = parse_beside_audio(out)
        assert len(back.turns) == 2
        if form == "vtt" or "<" not in words:  # SubRip has no way to write a < that is no markup
            assert back.turns[0].text.replace("→", "-->").split() == words.split()


@pytest.mark.parametrize("name", ["Kenna\nGray", "K <v Bob>", "Ann & Co", "  "])
def test_hostile_names_stay_names(name: str):
    vtt, rttm = written("vtt", named(name)), written("rttm", named(name))

    assert len(parse_beside_audio(vtt).turns) == len(transcript().turns)
    assert {len(line.split()) for line in rttm.splitlines()} == {10}


def test_rttm_has_the_fields_of_its_standard():
    kind, file, channel, start, length, *_, name, confidence, lookahead = written("rttm").splitlines()[0].split(" ")

    assert (kind, file, channel, name, confidence, lookahead) == ("SPEAKER", "rec1", "1", "Kenna_Gray", "<NA>", "<NA>")
    assert (float(start), float(length)) == (0.0, 3.0)


def test_a_table_for_spreadsheets_runs_no_formula():
    rows = list(csv.reader(io.StringIO(written("csv", named("=cmd()")))))

    assert rows[0] == ["start", "end", "speaker", "role", "text"]
    assert rows[1] == ["0.000", "3.000", "'=cmd()", "host", "Welcome back to the show, Lisa."]


def test_json_is_the_record_itself():
    talk = transcript()

    assert Transcript.model_validate_json(written("json", talk)) == talk


def test_a_long_turn_is_shown_in_pieces_that_can_be_read():
    talk = saying("one two three four five six seven eight nine ten. " * 12 + "Done.")

    cues = list(cues_of(talk))

    assert " ".join(cue.text for cue in cues) == " ".join(turn.text for turn in talk.turns)
    assert all(len(cue.text) <= CUE_LETTERS and cue.end_s - cue.start_s <= CUE_S + 0.001 for cue in cues)
    assert all(a.end_s <= b.start_s + 0.002 for a, b in pairwise(cues))


def test_a_transcript_without_word_times_has_subtitles_too():
    assert [cue.text for cue in cues_of(transcript(timed=False))] == [cue.text for cue in cues_of(transcript())]


def test_the_clean_read_folds_fillers_and_shows_chapters_and_what_is_left_out():
    talk = saying("So, um, the advert. Uh yes.").model_copy(
        update={"state": TranscriptState.APPROVED, "judged_by": "ann", "judged_at": now()}
    )
    span = ExcludedSpan(start_s=0.0, end_s=2.0, reason="advert", found_by="person", detail="")

    out = written("html", talk, chapters=(Chapter(start_s=0.0, title="One & two"),), excluded_spans=(span,))

    assert '<span class="filler">um,</span>' in out and '<span class="filler">Uh</span>' in out
    assert "<h2>One &amp; two</h2>" in out and "A &lt;b&gt;Talk&lt;/b&gt;" in out
    assert 'title="left out of training: advert"' in out
    assert "approved by ann" in out
    assert "http" not in out


def test_times_are_written_as_subtitles_have_them():
    assert (stamp(3723.4567), stamp(59.9996), stamp(-1.0, ",")) == ("01:02:03.457", "00:01:00.000", "00:00:00,000")


def test_a_file_is_called_by_the_recordings_id():
    assert file_name(recording(id="rec1", title="../../etc/passwd"), "vtt") == "rec1.vtt"
