from pathlib import Path

import pytest

from services.ingest import partial

FILE = {"url": "https://cdn.example/1.mp3?sig=1", "filesize": 100}
VIDEO = {"extractor_key": "Youtube", "id": "a", "format_id": "140", "filesize": 100, "protocol": "https"}


def test_a_file_is_the_same_by_path_and_validator_whatever_its_signature():
    mark = partial.mark_of(FILE, direct=True, validator='"v1"')

    assert mark
    assert partial.mark_of(FILE | {"url": "https://cdn.example/1.mp3?sig=2"}, direct=True, validator='"v1"') == mark
    assert partial.mark_of(FILE, direct=True, validator='"v2"') != mark
    assert partial.mark_of(FILE, direct=True) == ""


@pytest.mark.parametrize("other", [{"id": "b"}, {"format_id": "251"}, {"filesize": 101}])
def test_a_video_is_the_same_by_its_format_and_size(other: dict[str, object]):
    assert partial.mark_of(VIDEO, direct=False) != partial.mark_of(VIDEO | other, direct=False)


def test_a_video_without_a_size_is_not_gone_on_with_unless_it_comes_in_numbered_pieces():
    unknown = VIDEO | {"filesize": None}

    assert partial.mark_of(unknown, direct=False) == ""
    assert partial.mark_of(unknown | {"protocol": "m3u8_native"}, direct=False)


def test_what_is_left_of_another_file_goes(tmp_path: Path):
    original, part = tmp_path / "download", tmp_path / "download.part"
    assert partial.keep_only(original, "one") is False
    part.write_bytes(b"begun")

    assert partial.keep_only(original, "one") is False
    assert part.exists()
    partial.keep_only(original, "two")
    assert not part.exists()


def test_a_whole_file_is_found_and_one_without_a_mark_is_dropped(tmp_path: Path):
    original = tmp_path / "download"
    partial.keep_only(original, "one")
    original.write_bytes(b"whole")

    assert partial.keep_only(original, "one") is True
    assert partial.keep_only(original, "") is False
    assert not original.exists()
