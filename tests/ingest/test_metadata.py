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


def test_chapters_are_kept_in_order_without_those_that_have_no_time():
    chapters = [
        {"title": "Interview", "start_time": 60.5, "end_time": 10},
        {"title": "Trailer", "start_time": 0, "end_time": 60.5},
        {"title": "Nowhere", "start_time": None},
        {"title": "Before", "start_time": -1},
    ]

    found = metadata.chapters_of({"chapters": chapters}, redact_text)

    assert [(chapter.title, chapter.start_s, chapter.end_s) for chapter in found] == [
        ("Trailer", 0.0, 60.5),
        ("Interview", 60.5, None),
    ]


def test_sponsorblock_categories_become_reasons_and_fillers_stay_interview():
    categories = [
        "sponsor",
        "selfpromo",
        "interaction",
        "intro",
        "preview",
        "hook",
        "outro",
        "filler",
        "chapter",
        "new",
    ]
    segments = [
        {"category": category, "start_time": 10.0 * number, "end_time": 10.0 * number + 5}
        for number, category in enumerate(categories)
    ]

    spans = metadata.sponsor_spans({"sponsorblock_chapters": segments})

    assert [span.reason for span in spans] == ["advert"] * 3 + ["intro", "trailer", "trailer", "outro"]
    assert {span.found_by for span in spans} == {"sponsorblock"}
    assert (spans[1].start_s, spans[1].end_s, spans[1].detail) == (10.0, 15.0, "selfpromo")


def test_markup_becomes_lines_of_text():
    assert metadata.plain("<p>With <b>Ben</b> &amp; co.</p>\r\n<ul><li>one</li><li>two</li></ul>\x00 <a") == (
        "With Ben & co.\n\none\ntwo\n<a"
    )


def test_the_id_of_a_plain_file_is_a_piece_of_its_address_and_is_not_kept():
    info = {"extractor_key": "Generic", "id": "a.mp3?X-Amz-Signature=abc", "webpage_url": "https://a.example/a.mp3"}

    assert metadata.from_info(info, redact_text) == {"site": "Generic", "url": "https://a.example/a.mp3"}
    assert redact_text("[generic] a.mp3?X-Amz-Signature=abc&n=1: no") == "[generic] a.mp3?X-Amz-Signature=***&n=1: no"
