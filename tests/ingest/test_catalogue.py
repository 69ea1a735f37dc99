from datetime import date
from typing import Any

from services.ingest import catalogue
from services.ingest.catalogue import Item, TranscriptLink
from shared.urls import redact_text


def of_site(info: dict[str, Any], most: int = 100, *, signed_in: bool = False) -> catalogue.Catalogue:
    return catalogue.of_site(info, most, redact_text, signed_in=signed_in)


def flat(video_id: str, **more: Any) -> dict[str, Any]:
    url = f"https://www.youtube.com/watch?v={video_id}"
    return {"_type": "url", "ie_key": "Youtube", "id": video_id, "url": url, "title": video_id, **more}


def listed(*entries: dict[str, Any], page: str = "https://www.youtube.com/x") -> dict[str, Any]:
    return {"_type": "playlist", "title": "A list", "webpage_url": page, "entries": list(entries)}


def test_shorts_are_listed_only_where_there_is_nothing_else():
    shorts = listed(flat("s"), page="https://www.youtube.com/@a/shorts")

    assert [item.title for item in of_site(listed(listed(flat("v")), shorts)).items] == ["v"]
    assert [item.title for item in of_site(listed(shorts)).items] == ["s"]


def test_what_is_in_several_tabs_is_listed_once():
    assert len(of_site(listed(listed(flat("v")), listed(flat("v"), flat("w")))).items) == 2


def test_members_videos_are_listed_for_members():
    info = listed(flat("v"), flat("m", availability="subscriber_only"))

    assert [item.title for item in of_site(info).items] == ["v"]
    assert [item.title for item in of_site(info, signed_in=True).items] == ["v", "m"]


def test_entries_come_newest_first_where_the_site_says_when():
    info = listed(flat("old", timestamp=1_700_000_000), flat("new", upload_date="20261101"))

    found = of_site(info).items

    assert [item.title for item in found] == ["new", "old"]
    assert found[1].published_on == date(2023, 11, 14)


def test_several_sounds_of_one_page_keep_their_own_addresses():
    page = "https://blog.example/talks"
    sounds = [
        {"id": f"talks-{number}", "title": "T", "webpage_url": page, "url": f"https://cdn.example/{number}.mp3?sig=abc",
         "extractor_key": "Generic"}
        for number in (1, 2)
    ]  # fmt: skip

    found = of_site(listed(*sounds)).items

    assert [item.url for item in found] == ["https://cdn.example/1.mp3?sig=abc", "https://cdn.example/2.mp3?sig=abc"]
    assert [item.identity for item in found] == [item.url for item in found]
    assert [item.page_url for item in found] == [page, page]


def test_an_entry_that_has_only_an_id_gets_its_address_and_one_without_any_is_left_out():
    found = of_site(listed(flat("v") | {"url": "v"}, {"_type": "url", "ie_key": "Other", "id": "x", "url": "x"}))

    assert [item.url for item in found.items] == ["https://www.youtube.com/watch?v=v"]
    assert found.warnings == ("left out 1 that is without an address",)


def test_only_the_newest_are_kept_and_it_is_said():
    found = of_site(listed(flat("a"), flat("b"), flat("c")), most=2)

    assert [item.title for item in found.items] == ["a", "b"]
    assert "INGEST_MAX_ITEMS" in found.warnings[0]


def test_addresses_do_not_show_in_what_is_printed():
    item = Item(
        identity="a",
        title="b",
        url="https://x.example/?token=s3cret",
        chapters_url="https://x.example/?token=s3cret",
        transcripts=(TranscriptLink(url="https://x.example/?token=s3cret"),),
    )

    assert "s3cret" not in repr(item)


def test_an_item_whose_date_cannot_be_read_stays_where_it_is_listed_and_the_others_are_sorted():
    days = {"a": date(2026, 1, 1), "b": None, "c": date(2026, 3, 1), "d": date(2026, 2, 1)}
    items = [Item(identity=name, url="", title=name, published_on=day) for name, day in days.items()]

    assert [item.title for item in catalogue.newest_first(items)] == ["c", "d", "a", "b"]
    assert [item.title for item in catalogue.newest_first(reversed(items))] == ["c", "b", "d", "a"]
