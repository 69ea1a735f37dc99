"""What a process has logged lately: by trace, bounded, with no secret of a URL and no token in it."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from shared.telemetry import RecentLogs, log_to_stderr, recent_logs, trace

TRACE, OTHER = "ab" * 16, "cd" * 16


@pytest.fixture
def log() -> Iterator[tuple[logging.Logger, RecentLogs]]:
    logger, recent = logging.getLogger("tests.telemetry"), RecentLogs("toy", keep=3)
    logger.addHandler(recent)
    logger.setLevel(logging.INFO)
    yield logger, recent
    logger.removeHandler(recent)


def test_the_lines_of_a_trace_are_found_in_their_order_with_what_was_logged_beside_them(log):
    logger, recent = log
    with trace(TRACE, job="j1", show="lamp"):
        logger.info("job started", extra={"kind": "train"})
    with trace(OTHER):
        logger.info("somebody else's")
    with trace(TRACE, job="j1"):
        logger.warning("trying again (%d): %s", 2, "the store is away")

    first, second = recent.of(TRACE)

    assert (first["message"], first["job"], first["show"], first["kind"]) == ("job started", "j1", "lamp", "train")
    assert (second["level"], second["service"]) == ("warning", "toy")
    assert second["message"] == "trying again (2): the store is away"
    assert first["at"] <= second["at"]


def test_the_oldest_lines_go_when_there_are_too_many(log):
    logger, recent = log
    with trace(TRACE):
        for number in range(5):
            logger.info("line %d", number)

    assert [line["message"] for line in recent.of(TRACE)] == ["line 2", "line 3", "line 4"]


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("GET https://feeds.example/rss?token=s3cr3t999 failed", "s3cr3t999"),
        ("at https://ann:pa55word@feeds.example/", "pa55word"),
        ("refused diary_A1b2C3d4E5f6G7h8", "A1b2C3d4E5f6G7h8"),
    ],
)
def test_no_secret_is_kept_wherever_it_was_logged(log, text: str, secret: str):
    logger, recent = log
    with trace(TRACE):
        logger.info("said: %s", text, extra={"note": text, "tried": [{"address": text}]})
        try:
            raise ValueError(text)
        except ValueError:
            logger.exception("failed")

    said, failed = recent.of(TRACE)
    assert secret not in str(said) and said["note"] and said["tried"]
    assert "ValueError" in failed["exception"] and secret not in failed["exception"]


def test_a_message_that_does_not_fit_its_arguments_stops_nobodys_work(log, capsys: pytest.CaptureFixture[str]):
    logger, recent = log
    with trace(TRACE):
        recent.handle(logging.makeLogRecord({"msg": "%d steps", "args": ("many",)}))
        logger.info("going on")

    assert [line["message"] for line in recent.of(TRACE)] == ["going on"]
    assert "Logging error" in capsys.readouterr().err


def test_where_logs_are_set_up_the_last_lines_are_kept_once():
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    try:
        log_to_stderr("toy")
        kept = recent_logs("toy")
        with trace(TRACE):
            logging.getLogger("tests.telemetry.process").info("hello")

        assert [type(one) for one in root.handlers].count(RecentLogs) == 1
        assert [line["message"] for line in kept.of(TRACE)] == ["hello"]
    finally:
        root.handlers[:] = before
        root.setLevel(level)
