import re
from datetime import UTC, datetime

import pytest

from services.ingest import troubles
from shared.errors import BadInputError, NoSpaceError, SourceUnavailableError
from shared.urls import redact_text
from tests.fakes import FakeYtDlp


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
            FakeYtDlp.DownloadError("ERROR: Something new; please report this issue on"),
            BadInputError,
            "URL: Something new;",
        ),
        (FakeYtDlp.DownloadError("x", BadInputError("ours")), BadInputError, "ours"),
    ],
)
def test_yt_dlps_errors_are_explained(error: Exception, kind: type[Exception], fix: str):
    found = troubles.explain(error, redact_text)

    assert type(found) is kind
    assert fix in str(found)


def test_an_explained_error_holds_no_secret_of_the_url():
    found = troubles.explain(
        FakeYtDlp.DownloadError("ERROR: cannot open https://ann:pw@pod.example/x?token=abc"), redact_text
    )

    assert "ann:pw" not in str(found)
    assert "token=abc" not in str(found)


MEMBERS = "[youtube] abc: Join this channel to get access to members-only content like this video."
AGE = "[youtube] abc: Sign in to confirm your age. This video may be inappropriate for some users."
BOT = "[youtube] abc: Sign in to confirm you\u2019re not a bot. Use --cookies-from-browser or --cookies"
LIMITED = "The current session has been rate-limited by YouTube for up to an hour"


@pytest.mark.parametrize(
    ("said", "fix"),
    [
        (MEMBERS, "members only; set INGEST_COOKIES_FILE"),
        (AGE, "viewer's age; set INGEST_COOKIES_FILE"),
        ("[youtube] abc: Private video. Sign in if you've been granted access", "private; set INGEST_COOKIES_FILE"),
        ("[youtube] abc: Premieres in 3 hours", "not published yet"),
        ("[youtube] abc: This live event will begin in 2 days.", "not published yet"),
        ("[youtube] abc: The uploader has not made this video available in your country", "country.*upload the file"),
        ("[youtube] abc: Video unavailable. This video has been removed by the uploader", "the video is gone"),
        ("[youtube] abc: Requested format is not available", "make update-ytdlp"),
    ],
)
def test_what_a_site_says_becomes_what_to_do(said: str, fix: str):
    with pytest.raises(BadInputError, match=fix):
        raise troubles.explain(FakeYtDlp.DownloadError(f"ERROR: {said}"), redact_text)


def test_a_site_that_takes_us_for_a_bot_is_left_alone_for_a_while():
    found = troubles.explain(FakeYtDlp.DownloadError(f"ERROR: {BOT}"), redact_text)

    assert isinstance(found, SourceUnavailableError) and found.retry_after_s == 3600
    assert re.search("takes this machine for a bot.*INGEST_POT_PROVIDER_URL.*INGEST_PAUSE_S", str(found))


def test_a_site_that_limits_us_says_for_how_long():
    found = troubles.explain(FakeYtDlp.DownloadError(f"ERROR: {LIMITED}"), redact_text)

    assert isinstance(found, SourceUnavailableError)
    assert found.retry_after_s == 3600


NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [("120", 120), ("Sun, 01 Nov 2026 12:02:00 GMT", 120), ("Sun, 01 Nov 2026 11:00:00 GMT", 0), ("soon", None)],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(header: str, wait_s: float | None):
    assert troubles.wait_of(header, NOW) == wait_s


def test_a_refusal_names_how_long_to_wait():
    found = troubles.refusal(429, "120")

    assert isinstance(found, SourceUnavailableError)
    assert found.retry_after_s == 120
    assert "asks to wait 120 s" in str(found)
