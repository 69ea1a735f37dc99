from __future__ import annotations

from services.studio.care.lineage import damage, recordings_behind, walk
from shared import keys
from shared.schemas import Show
from shared.store import point
from tests.fakes import MemoryStore
from tests.studio.a_show import put_show


def test_from_an_episode_one_walks_to_the_recordings_it_came_from():
    store = MemoryStore()
    episode = put_show(store)

    links = walk(store, episode)

    assert recordings_behind(links) == [keys.recording("lamp", "published"), keys.recording("lamp", "spoken")]
    assert {link.state for link in links} == {"here"}
    assert len([link for link in links if link.key.startswith("blobs/")]) >= 4


def test_what_is_lost_or_changed_is_damage():
    store = MemoryStore()
    episode = put_show(store)
    store.delete(keys.transcript("lamp", "spoken", "rev1"))
    store.objects[keys.dataset("lamp", "d1")] += b" "

    found = {link.key: link.state for link in damage(walk(store, episode))}

    assert found == {keys.transcript("lamp", "spoken", "rev1"): "missing", keys.dataset("lamp", "d1"): "changed"}


def test_a_pointer_may_move_on():
    store = MemoryStore()
    episode = put_show(store)
    renamed = Show(slug="lamp", title="The Lamplight Hour, New Series", host="Mara Quill")
    point(store, keys.show("lamp"), renamed.model_dump_json().encode())

    links = walk(store, episode)

    assert {link.key for link in links if link.state == "changed"} == {keys.show("lamp")} and damage(links) == []
