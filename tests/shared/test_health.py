"""The health check of a container, against a real server."""

import http.server
import threading
from collections.abc import Iterator

import pytest

from shared.health import answers


class Door(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health/live" else 503)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    server = http.server.HTTPServer(("127.0.0.1", 0), Door)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_service_that_answers_is_healthy(url: str):
    assert answers(f"{url}/health/live")


def test_a_service_that_answers_with_an_error_is_not(url: str):
    assert not answers(f"{url}/health/ready")


def test_nobody_there_is_not_healthy():
    assert not answers("http://127.0.0.1:9/health/live")
