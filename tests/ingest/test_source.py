from pathlib import Path
from typing import Any

import pytest

from services.ingest import source
from services.ingest.audio import Limits
from services.ingest.source import Manners
from shared.errors import BadInputError, NoSpaceError

LIMITS = Limits(max_bytes=1000, max_duration_s=3600, min_duration_s=5, ffmpeg_limit_s=60)


def options() -> tuple[dict[str, Any], list[tuple[Any, ...]]]:
    told: list[tuple[Any, ...]] = []
    manners = Manners(pause_s=2, rate_limit_bytes_s=1000, po_token="web.gvs+AAAA, web.player+BBBB")
    original, deno = Path("/w/100%/download"), "/env/bin/deno"
    found = source.options(
        original, LIMITS, manners, lambda *progress: told.append(progress), object(), deno=deno, validator='"v1"'
    )
    return found, told


def test_yt_dlp_runs_no_other_program_and_names_no_file():
    found, _ = options()

    assert found["outtmpl"] == {"default": "/w/100%%/download"}
    assert found["external_downloader"] is None
    assert found["postprocessors"] == []
    assert found["usenetrc"] is False
    assert found["enable_file_urls"] is False
    assert not Path(found["ffmpeg_location"]).exists()
    assert found["js_runtimes"] == {"deno": {"path": "/env/bin/deno"}}
    assert found["remote_components"] == []


def test_yt_dlp_is_polite_and_brings_the_tokens_that_an_operator_gave():
    found, _ = options()

    assert (found["sleep_interval_requests"], found["ratelimit"]) == (2, 1000)
    assert found["extractor_args"] == {"youtube": {"po_token": ["web.gvs+AAAA", "web.player+BBBB"]}}
    provider = source.look_options(Manners(pot_provider_url="http://10.0.0.1:4416"), Path("/w"), object())
    assert provider["extractor_args"] == {
        "youtubepot-bgutilhttp": {"base_url": ["http://10.0.0.1:4416"]},
        "youtubetab": {"approximate_date": [""]},
    }
    assert provider["extract_flat"] == "in_playlist"


def test_a_server_that_has_another_file_by_now_does_not_send_its_end():
    assert options()[0]["http_headers"] == {"If-Range": '"v1"'}


def test_cookies_are_read_and_never_written(tmp_path: Path):
    file = tmp_path / "cookies.txt"
    file.write_text("# Netscape HTTP Cookie File\n")

    given = source.cookies(file)

    assert given is not None
    given.write("more")
    assert file.read_text() == "# Netscape HTTP Cookie File\n"
    assert source.cookies(None) is None
    with pytest.raises(BadInputError, match="INGEST_COOKIES_FILE"):
        source.cookies(tmp_path / "none.txt")


def test_progress_is_told_in_bytes_and_a_download_without_end_is_stopped():
    found, told = options()
    hook = found["progress_hooks"][0]

    hook({"downloaded_bytes": 10, "total_bytes": 500})

    assert told == [("downloading", 10, 500, "bytes")]
    with pytest.raises(BadInputError, match="INGEST_MAX_BYTES"):
        hook({"downloaded_bytes": 1001})


def test_one_recording_is_taken_out_of_a_page_and_a_list_is_refused():
    assert source.only_one({"_type": "playlist", "entries": [{"id": "a"}]}) == {"id": "a"}
    for empty_or_list in ({"_type": "playlist", "entries": [{"id": "a"}, {"id": "b"}]}, {"_type": "playlist"}, None):
        with pytest.raises(BadInputError, match="one"):
            source.only_one(empty_or_list)


@pytest.mark.parametrize(
    "info", [{"is_live": True}, {"live_status": "is_upcoming"}, {"duration": 3601}, {"filesize": 1001}]
)
def test_what_is_too_much_is_refused_before_it_is_downloaded(info: dict[str, Any]):
    with pytest.raises(BadInputError):
        source.refuse_too_much(info, LIMITS)


@pytest.mark.parametrize("info", [{"filesize": 10**18}, {"filesize_approx": 10**18}, {"duration": 10**14}])
def test_what_no_disk_has_room_for_is_refused_before_it_is_downloaded(info: dict[str, Any], tmp_path: Path):
    with pytest.raises(NoSpaceError, match="INGEST_WORK_DIR"):
        source.demand_space_for(info, tmp_path)


def test_a_length_that_only_the_server_tells_is_refused_at_its_first_bytes():
    found, _ = options()

    with pytest.raises(NoSpaceError, match="no room for the download"):
        found["progress_hooks"][0]({"downloaded_bytes": 10, "total_bytes": 10**18})
