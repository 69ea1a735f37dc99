from __future__ import annotations

import pytest

from services.trainer.sizes import AT_ONCE, BYTES_PER_PARAMETER, lora_parameters, work_bytes

MISTRAL_7B = {
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "num_hidden_layers": 32,
}


def test_the_parameters_of_a_known_adapter():
    """peft counts 41,943,040 trainable parameters for Mistral 7B at rank 16 on all linear layers."""
    assert lora_parameters(MISTRAL_7B, 16) == 41_943_040


@pytest.mark.parametrize(("rank", "last_layers", "share"), [(32, None, 2.0), (16, 8, 0.25), (16, 99, 1.0)])
def test_rank_and_layers_scale_it(rank: int, last_layers: int | None, share: float):
    assert lora_parameters(MISTRAL_7B, rank, last_layers) == 41_943_040 * share


def test_text_models_inside_others_are_found():
    assert lora_parameters({"text_config": MISTRAL_7B}, 16) == 41_943_040


def test_checkpoints_hold_the_optimizer_too():
    assert work_bytes(MISTRAL_7B, 16) == AT_ONCE * BYTES_PER_PARAMETER * 41_943_040


def test_an_unknown_kind_of_model_is_not_guessed_at():
    assert work_bytes({"model_type": "mamba"}, 16) is None
