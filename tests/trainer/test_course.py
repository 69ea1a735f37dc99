from __future__ import annotations

import pytest

from services.trainer.course import course_of, leaner
from services.trainer.plan import Device
from shared.schemas import TrainRequest
from tests.trainer.test_presets import H200, MISTRAL_7B, RTX_4090

CPU = Device(kind="cpu", name="a CPU", memory_gb=16.0, last_layers=10)
SMOL = {
    "hidden_size": 576, "intermediate_size": 1536, "num_attention_heads": 9, "num_key_value_heads": 3,
    "num_hidden_layers": 30, "vocab_size": 49152, "tie_word_embeddings": True,
}  # fmt: skip


def ask(**wishes) -> TrainRequest:
    return TrainRequest(show="lamp", dataset="d", **wishes)


def test_steps_follow_from_epochs_and_how_many_packs_there_are():
    course = course_of(ask(epochs=3.0), [300, 200, 512, 100], 512, CPU, SMOL)

    assert (course.steps_per_epoch, course.steps) == (1.5, 5), "three packs, two a step"


def test_steps_that_are_asked_for_are_made():
    assert course_of(ask(steps=7), [300] * 4, 512, CPU, SMOL).steps == 7


def test_without_packing_each_example_is_a_row():
    assert course_of(ask(packing=False, epochs=1.0), [100] * 8, 512, CPU, SMOL).steps == 4


@pytest.mark.parametrize(("steps", "every"), [(2, 1), (12, 3), (200, 50), (2000, 50)])
def test_checkpoints_come_four_times_in_a_run_and_every_fifty_steps_at_least(steps, every):
    assert course_of(ask(steps=steps), [300], 512, CPU, SMOL).checkpoint_every == every


def test_small_models_learn_faster():
    assert course_of(ask(), [300], 512, CPU, SMOL).learning_rate == 1e-3
    assert course_of(ask(), [300], 4096, H200, MISTRAL_7B).learning_rate == 2e-4


@pytest.mark.parametrize(
    ("wishes", "processes", "per_step"),
    [({}, 4, 4), ({"gpus": 2}, 2, 2), ({"examples_per_step": 6}, 3, 6), ({"examples_per_step": 1}, 1, 1)],
)
def test_a_step_is_shared_out_evenly_among_gpus(wishes, processes, per_step):
    course = course_of(ask(**wishes), [300], 4096, H200.model_copy(update={"count": 4}), MISTRAL_7B)

    assert (course.processes, course.examples_per_step) == (processes, per_step)


def test_a_course_is_made_leaner_step_by_step_until_nothing_is_left():
    course = course_of(ask(), [300, 200], 8192, H200, MISTRAL_7B)
    said = []
    while found := leaner(course, RTX_4090, [300, 200]):
        course, saved = found
        said.append(saved)

    assert (course.recompute, course.quantised, course.row_tokens) == (True, True, 300)
    assert said == [
        "activations are computed again instead of kept", "the base model is held in 4 bits",
        "rows hold 300 tokens at most",
    ]  # fmt: skip


def test_a_cpu_is_never_asked_for_four_bits():
    course = course_of(ask(), [300], 512, CPU, SMOL).model_copy(update={"recompute": True})

    leaned = leaner(course, CPU, [300])

    assert leaned is not None and not leaned[0].quantised
