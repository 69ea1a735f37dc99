"""The catalogue, the folders of models, and the base model in one of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from shared.errors import BadInputError
from shared.models import (
    CHAT_FILES,
    WHISPER,
    WHISPER_FILES,
    HubModel,
    base_folder,
    bytes_in,
    catalogue,
    folder_of,
    gpu_wanted,
    is_present,
    name_folder,
    parse_model,
    read_base,
)

COMMIT = "0123456789abcdef0123456789abcdef01234567"
MODEL = HubModel("owner/some-model", COMMIT)


# ---- names -----------------------------------------------------------------------------------------------------------


def test_every_model_of_the_catalogue_is_pinned_sized_licensed_and_without_pickles():
    for model in catalogue():
        assert re.fullmatch(r"[0-9a-f]{40}", model.revision) and model.size_bytes and model.licence != "unknown"
        assert not [name for name in model.files if name.endswith((".bin", ".pt", "*")) and name != "model.bin"] or (
            model is WHISPER
        )
        assert model.used_by and model.page.endswith(model.name)


def test_a_model_is_named_by_its_commit_or_by_its_place_in_the_catalogue():
    known = catalogue()[-1]

    assert parse_model(known.name) == parse_model(f"{known.name}@{known.revision}") == known
    assert parse_model(f"owner/some-model@{COMMIT}") == MODEL
    assert parse_model(f"{known.name}@{COMMIT}") == HubModel(known.name, COMMIT, CHAT_FILES)
    assert parse_model(f"owner/whisper@{COMMIT}", WHISPER_FILES) == HubModel("owner/whisper", COMMIT, WHISPER_FILES)


@pytest.mark.parametrize("folder", ["", "/models/base", ".run/models/base", "models/base"])
def test_a_folder_is_no_name(folder):
    assert parse_model(folder) is None


@pytest.mark.parametrize("moving", ["main", "v1.0", "0123456", ""])
def test_a_name_that_may_mean_other_weights_tomorrow_is_refused(moving):
    with pytest.raises(BadInputError, match="40 hex digits"):
        parse_model(f"owner/some-model@{moving}")


# ---- folders ---------------------------------------------------------------------------------------------------------


def test_a_folder_counts_once_it_names_the_model_it_holds(tmp_path):
    folder = folder_of(tmp_path, MODEL)
    assert folder.name == "owner--some-model@0123456789ab"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    assert not is_present(tmp_path, MODEL)

    name_folder(folder, MODEL.name, MODEL.revision)

    assert is_present(tmp_path, MODEL)
    assert not is_present(tmp_path, HubModel(MODEL.name, COMMIT[:12] + "0" * 28)), "same first digits, another commit"
    assert json.loads((folder / "revision.json").read_text()) == {"name": MODEL.name, "revision": COMMIT}


def test_unfinished_files_count_for_how_far_a_download_is(tmp_path):
    (tmp_path / ".partial").mkdir()
    (tmp_path / ".partial" / "model.safetensors").write_bytes(b"12345")
    (tmp_path / "config.json").write_bytes(b"67")

    assert bytes_in(tmp_path) == 7 and bytes_in(tmp_path / "nowhere") == 0


def test_a_gpu_is_wanted_where_the_operator_says_so_or_its_driver_is_here(tmp_path):
    node = tmp_path / "nvidiactl"
    assert gpu_wanted("cuda", [node]) and not gpu_wanted("auto", [node])

    node.touch()

    assert gpu_wanted("auto", [node]) and not gpu_wanted("cpu", [node])


# ---- the base model --------------------------------------------------------------------------------------------------


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "base"
    folder.mkdir()
    (folder / "config.json").write_text('{"max_position_embeddings": 32768}')
    name_folder(folder, "tests/tiny", "r" * 64)
    return folder


def test_trainer_and_inference_look_into_the_same_folder(tmp_path):
    assert base_folder(f"owner/some-model@{COMMIT}", tmp_path) == folder_of(tmp_path, MODEL)
    assert base_folder("", tmp_path) == tmp_path / "base"
    assert base_folder("/elsewhere/model", tmp_path) == Path("/elsewhere/model")


def test_a_base_model_says_who_it_is(base):
    found = read_base(base)

    assert (found.label, found.context, found.folder) == (f"tests/tiny@{'r' * 64}", 32768, base)


@pytest.mark.parametrize("missing", ["revision.json", "config.json"])
def test_an_incomplete_folder_is_refused_with_the_settings_and_the_command_that_help(base, missing):
    (base / missing).unlink()

    with pytest.raises(BadInputError, match=r"INFERENCE_BASE_MODEL.*engine prepare --out DIR"):
        read_base(base)


def test_a_damaged_folder_is_refused(base):
    (base / "revision.json").write_text('{"name": 1}')

    with pytest.raises(BadInputError, match="damaged"):
        read_base(base)
