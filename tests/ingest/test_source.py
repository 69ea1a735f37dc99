from pathlib import Path
from typing import Any

import pytest

from services.ingest import source
from services.ingest.audio import Limits
from shared.errors import BadInputError, NoSpaceError, SourceUnavailableError
from shared.urls import redact_text
from tests.fakes import FakeYtDlp

LIMITS = Limits(max_bytes=1000, max_duration_s=3600, min_duration_s=5, ffmpeg_limit_s=60)


def options() -> tuple[dict[str, Any], list[tuple[Any, ...]]]:
    told: list[tuple[Any, ...]] = []
    return source.options(Path("/w/100%/download"), LIMITS, lambda *progress: told.append(progress), object()), told


def test_yt_dlp_runs_no_other_program_and_names_no_file():
    found, _ = options()

    assert found["outtmpl"] == {"default": "/w/100%%/download"}
    assert found["external_downloader"] is None
    assert found["postprocessors"] == []
    assert found["usenetrc"] is False
    assert found["enable_file_urls"] is False
    assert not Path(found["ffmpeg_location"]).exists()


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


@pytest.mark.parametrize("info", [{"is_live": True}, {"duration": 3601}, {"filesize": 1001}])
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


@pytest.mark.parametrize(
    ("error", "kind", "fix"),
    [
        (FakeYtDlp.DownloadError("ERROR: x", FakeYtDlp.HTTPError(404)), BadInputError, "check the address"),
        (FakeYtDlp.DownloadError("ERROR: x", FakeYtDlp.HTTPError(403)), BadInputError, "upload the file"),
        (FakeYtDlp.DownloadError("ERROR: x", FakeYtDlp.HTTPError(503)), SourceUnavailableError, "tries again"),
        (FakeYtDlp.DownloadError("ERROR: x", FakeYtDlp.HTTPError(429)), SourceUnavailableError, "tries again"),
        (FakeYtDlp.DownloadError("ERROR: x", FakeYtDlp.UnsupportedError("x")), BadInputError, "no audio or video"),
        (FakeYtDlp.DownloadError("ERROR: x", FakeYtDlp.TransportError("reset")), SourceUnavailableError, "broke off"),
        (FakeYtDlp.DownloadError("ERROR: [Errno 28] No space left on device"), NoSpaceError, "free some space"),
        (
            FakeYtDlp.DownloadError("ERROR: Private video; please report this issue on"),
            BadInputError,
            "URL: Private video;",
        ),
        (FakeYtDlp.DownloadError("x", BadInputError("ours")), BadInputError, "ours"),
    ],
)
def test_yt_dlps_errors_are_explained(error: Exception, kind: type[Exception], fix: str):
    found = source.explain(error, redact_text)

    assert type(found) is kind
    assert fix in str(found)


def test_an_explained_error_holds_no_secret_of_the_url():
    found = source.explain(
        FakeYtDlp.DownloadError("ERROR: cannot open https://ann:pw@pod.example/x?token=abc"), redact_text
    )

    assert "ann:pw" not in str(found)
    assert "token=abc" not in str(found)
