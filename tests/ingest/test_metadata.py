from services.ingest import metadata
from shared.urls import redact_text

INFO = {
    "id": "abc",
    "title": "How  to\nbake",
    "extractor_key": "Youtube",
    "uploader": "Lamplight",
    "description": "Sponsor: https://ann:pw@socks.example/?token=1",
    "upload_date": "20261101",
    "webpage_url": "https://pod.example/1?sig=abc",
    "chapters": [{"title": "Trailer", "start_time": 0, "end_time": 60.5}, {"start_time": 60.5, "end_time": None}],
    "formats": ["not kept"],
}


def test_what_a_site_says_is_kept_without_secrets():
    assert metadata.from_info(INFO, redact_text) == {
        "title": "How to bake",
        "uploader": "Lamplight",
        "site": "Youtube",
        "site_id": "abc",
        "description": "Sponsor: https://***@socks.example/?token=***",
        "published": "2026-11-01",
        "url": "https://pod.example/1?sig=***",
        "chapters": [
            {"title": "Trailer", "start_s": 0.0, "end_s": 60.5},
            {"title": "", "start_s": 60.5, "end_s": 0.0},
        ],
    }


def test_an_empty_answer_of_a_site_is_fine():
    assert metadata.from_info({}, redact_text) == {}


def test_the_title_is_the_first_that_says_something():
    assert metadata.title(None, " \n", "A talk", filename="x.mp3", recording_id="ab") == "A talk"
    assert metadata.title(None, filename="C:\\my\\a_talk.part 1.mp3", recording_id="ab") == "a talk.part 1"
    assert metadata.title(None, filename=None, recording_id="ab") == "Recording ab"
    assert len(metadata.title("x" * 999, filename=None, recording_id="ab")) == 300
