from __future__ import annotations

import pytest

from services.trainer.plan import Device
from services.trainer.presets import Way, default_length, estimate, way_of
from shared.errors import BadInputError
from shared.schemas import TrainOptions

MISTRAL_7B = {
    "hidden_size": 4096, "intermediate_size": 14336, "num_attention_heads": 32, "num_key_value_heads": 8,
    "num_hidden_layers": 32, "vocab_size": 32768,
}  # fmt: skip
LLAMA_70B = {
    "hidden_size": 8192, "intermediate_size": 28672, "num_attention_heads": 64, "num_key_value_heads": 8,
    "num_hidden_layers": 80, "vocab_size": 128256,
}  # fmt: skip
OPTIONS = TrainOptions()


def gpu(name: str, memory_gb: float) -> Device:
    return Device(kind="cuda", name=name, memory_gb=memory_gb)


T4, RTX_4090, L40S = gpu("Tesla T4", 16.1), gpu("NVIDIA GeForce RTX 4090", 25.8), gpu("NVIDIA L40S", 48.3)
H100, H200 = gpu("NVIDIA H100 80GB HBM3", 85.5), gpu("NVIDIA H200", 150.8)
CPU = Device(kind="cpu", name="a CPU", memory_gb=16.0, last_layers=10)


@pytest.mark.parametrize(
    ("device", "length", "way"),
    [
        (T4, 4_096, Way(True, True)),
        (RTX_4090, 16_384, Way(True, True)),
        (L40S, 32_768, Way(False, True)),
        (H100, 32_768, Way(False, True)),
        (H200, 32_768, Way(False, True)),
    ],
)
def test_a_seven_billion_model_fits_every_size_of_gpu_in_its_way(device, length, way):
    assert default_length(device, MISTRAL_7B, 32_768, OPTIONS) == length
    assert way_of(device, MISTRAL_7B, length, OPTIONS) == way


def test_where_memory_is_plenty_activations_are_kept():
    assert way_of(H200, MISTRAL_7B, 8_192, OPTIONS) == Way(False, False)


def test_examples_are_never_longer_than_the_base_model_reads():
    assert default_length(H200, MISTRAL_7B, 8_192, OPTIONS) == 8_192


def test_a_cpu_gets_short_examples():
    assert default_length(CPU, MISTRAL_7B, 32_768, OPTIONS) == 512


def test_what_cannot_fit_is_refused_with_the_length_that_would():
    with pytest.raises(BadInputError, match=r"32768 tokens takes about \d+ GB.*RTX 4090 has 26; .*--max-length 16384"):
        way_of(RTX_4090, MISTRAL_7B, 32_768, OPTIONS)


def test_four_bits_are_named_where_they_were_forbidden():
    with pytest.raises(BadInputError, match="--quantisation auto"):
        way_of(T4, MISTRAL_7B, 512, TrainOptions(quantisation="none"))


def test_a_model_that_fits_at_no_length_needs_another_gpu():
    with pytest.raises(BadInputError, match="smaller base model"):
        way_of(RTX_4090, LLAMA_70B, 4_096, OPTIONS)


def test_an_estimate_names_device_method_memory_and_hours():
    found = estimate(H200, MISTRAL_7B, 8_192, TrainOptions(epochs=3.0), tokens=1_300_000)

    assert found is not None and (found.device, found.method) == ("NVIDIA H200", "LoRA bf16")
    assert found.memory_gb == pytest.approx(73.3, rel=0.1), "measured: 73.3 GB"
    assert found.tokens_per_s == pytest.approx(9_759, rel=0.15), "measured: 9,759"
    assert found.hours == pytest.approx(1_300_000 * 3 / found.tokens_per_s / 3600, rel=0.05)


def test_of_a_model_whose_shapes_are_unknown_nothing_is_said():
    assert estimate(H200, {"model_type": "mamba"}, 8_192, OPTIONS, 1000) is None
    assert way_of(H200, {"model_type": "mamba"}, 8_192, OPTIONS) == Way(False, True)


def test_four_bits_on_a_cpu_are_for_who_asks():
    assert way_of(CPU, MISTRAL_7B, 512, TrainOptions(quantisation="nf4", last_layers=1)).quantised
