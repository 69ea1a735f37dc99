from __future__ import annotations

import pytest

from services.inference.adapters import CONFIG, WEIGHTS, choose, fetch
from shared.errors import BadInputError, EngineRefusedError, NotFoundError
from tests.inference.conftest import BASE, SHOW, add_adapter, lora_bytes, lora_config

OTHER = BASE.model_copy(update={"revision": "s" * 64})


def test_best_is_the_lowest_held_out_loss(store):
    for name, loss in (("lamp.r1.c8", 2.1), ("lamp.r1.c16", 1.9), ("lamp.r2.c8", 2.0)):
        add_adapter(store, name, loss=loss)

    best = choose(store, SHOW.slug, "best", BASE)

    assert best and best.name == "lamp.r1.c16"


def test_one_that_recites_its_training_text_is_best_only_where_all_do(store):
    add_adapter(store, "lamp.r1.c8", loss=1.5, recited=0.4)
    alone = choose(store, SHOW.slug, "best", BASE)
    add_adapter(store, "lamp.r1.c16", loss=1.9, recited=0.1)
    beside = choose(store, SHOW.slug, "best", BASE)

    assert alone and beside and (alone.name, beside.name) == ("lamp.r1.c8", "lamp.r1.c16")


def test_best_without_any_adapter_is_the_base_model(store):
    assert choose(store, SHOW.slug, "best", BASE) is None
    assert choose(store, SHOW.slug, "base", BASE) is None


def test_best_passes_over_adapters_of_another_base_model(store):
    add_adapter(store, "lamp.r1.c8", loss=1.0, base=OTHER)
    add_adapter(store, "lamp.r2.c8", loss=2.0)

    best = choose(store, SHOW.slug, "best", BASE)

    assert best and best.name == "lamp.r2.c8"


def test_a_show_with_adapters_of_another_base_model_only_is_not_served_the_base_in_silence(store):
    add_adapter(store, "lamp.r1.c8", base=OTHER)

    for wanted in ("best", "lamp.r1.c8"):
        with pytest.raises(EngineRefusedError, match=r"trained on tests/tiny \(ssssssssssss\)"):
            choose(store, SHOW.slug, wanted, BASE)


def test_an_unknown_adapter_names_those_that_exist(store):
    add_adapter(store, "lamp.r1.c8")

    with pytest.raises(NotFoundError, match=r"has no adapter lamp\.r9\.c1; it has: lamp\.r1\.c8"):
        choose(store, SHOW.slug, "lamp.r9.c1", BASE)


def test_a_checked_adapter_lies_in_a_folder_of_its_name(store, tmp_path):
    adapter = add_adapter(store, "lamp.r1.c8")

    files = fetch(store, adapter, tmp_path / "adapters", 16)

    assert files.folder == tmp_path / "adapters" / "lamp.r1.c8"
    assert sorted(path.name for path in files.folder.iterdir()) == [CONFIG, WEIGHTS]


def test_files_left_by_another_store_are_replaced(store, tmp_path):
    adapter = add_adapter(store, "lamp.r1.c8")
    old = tmp_path / "lamp.r1.c8" / WEIGHTS
    old.parent.mkdir()
    old.write_bytes(b"old")

    fetch(store, adapter, tmp_path, 16)

    assert old.read_bytes() == store.get(adapter.files[WEIGHTS].key)


def test_damaged_weights_are_found_by_their_digest(store, tmp_path):
    adapter = add_adapter(store, "lamp.r1.c8")
    store.objects[adapter.files[WEIGHTS].key] += b"x"

    with pytest.raises(BadInputError, match="damaged"):
        fetch(store, adapter, tmp_path, 16)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"weights": b"PK\x03\x04 pickled"}, "not a safetensors file"),
        ({"weights": (9).to_bytes(8, "little") + b"not json!"}, "damaged header"),
        ({"more_files": {"adapter_model.bin": b"x"}}, "only safetensors"),
        ({"weights": lora_bytes(rank=4)}, r"ranks \[4\], not 8"),
        ({"rank": 32, "weights": lora_bytes(rank=32), "config": lora_config(rank=32)}, "MAX_LORA_RANK is 16"),
        ({"weights": lora_bytes(modules=["q_proj", "lm_head"])}, "its manifest says"),
        ({"config": lora_config(modules=["q_proj"])}, "its manifest says"),
        ({"config": lora_config() | {"modules_to_save": ["lm_head"]}}, "more than LoRA"),
        ({"config": lora_config(use_dora=True)}, "DoRA"),
        ({"config": lora_config() | {"peft_type": "IA3"}}, "is IA3"),
        ({"config": {"x": 1}}, "is None, not LORA"),
    ],
)
def test_files_that_tell_another_story_than_the_manifest_are_refused(store, tmp_path, change, said):
    adapter = add_adapter(store, "lamp.r1.c8", **change)

    with pytest.raises(EngineRefusedError, match=said):
        fetch(store, adapter, tmp_path, 16)
