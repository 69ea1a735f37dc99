"""Where a setting may come from."""

from pathlib import Path

import pytest

from shared.settings import StoreSettings


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DIARY_SECRETS_DIR", str(tmp_path))
    for name in ("S3_ACCESS_KEY", "S3_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_a_secret_may_lie_in_a_file_with_a_newline_at_its_end(secrets: Path):
    (secrets / "s3_secret_key").write_text("hush\n")

    assert StoreSettings().secret_key.get_secret_value() == "hush"


def test_a_variable_wins_over_a_file(secrets: Path, monkeypatch: pytest.MonkeyPatch):
    (secrets / "s3_access_key").write_text("from the file")
    monkeypatch.setenv("S3_ACCESS_KEY", "from the variable")

    assert StoreSettings().access_key == "from the variable"


def test_a_secret_is_not_shown(secrets: Path):
    (secrets / "s3_secret_key").write_text("hush")

    assert "hush" not in repr(StoreSettings())
