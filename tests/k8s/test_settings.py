"""Each variable that a manifest sets is a field of a settings class, can be read, and is the same as in compose."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from services.inference.settings import Settings as InferenceSettings
from services.studio.machine.local import SERVICES
from services.trainer.settings import PodSettings
from services.trainer.settings import Settings as TrainerSettings
from shared.models import CHAT, parse_model
from shared.settings import SILENCE, DiarySettings, HubSettings, ServiceSettings, StoreSettings
from tests.k8s.manifests import FLEET, OVERLAYS, Objects, base, overlay, pods, settings_of
from tests.test_compose_files import CPU, GPU
from tests.test_compose_files import rendered as compose
from tests.test_env_example import CLASSES, in_image, is_secret, variable_of

NO_GPU = "NVIDIA_VISIBLE_DEVICES"  # of NVIDIA's container runtime
OF_ONE_MACHINE = re.compile(r"127\.0\.0\.1|^\.run\b")


def fields(settings: type[DiarySettings]) -> dict[str, str]:
    """Variable -> field."""
    return {variable_of(settings, name, field): name for name, field in settings.model_fields.items()}


def known() -> set[str]:
    classes: list[type[DiarySettings]] = [*CLASSES.values(), PodSettings, StoreSettings, HubSettings]
    return {variable for settings in classes for variable in fields(settings)}


def test_every_variable_is_a_setting(objects: Objects):
    assert set(settings_of(objects)) - set(SILENCE) <= known()
    for name, found in pods(objects).items():
        own = {one["name"] for one in found.container.get("env", [])}
        assert own - {NO_GPU} <= known() or name == "minio", name


def test_so_is_every_variable_of_compose():
    for files in (GPU, CPU):
        for name in SERVICES:
            assert set(compose(*files)[name]["environment"]) - set(SILENCE) <= known(), name


def test_nobody_is_told_what_a_cluster_does(objects: Objects):
    assert SILENCE.items() <= settings_of(objects).items()
    fleet = {one["name"]: one.get("value") for one in pods(overlay(FLEET))["vllm"].container["env"]}
    assert {"DO_NOT_TRACK": "1", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"}.items() <= fleet.items()


def test_settings_can_be_read_and_name_one_base_model(objects: Objects, monkeypatch: pytest.MonkeyPatch):
    for name, value in settings_of(objects).items():
        monkeypatch.setenv(name, value)

    classes: list[type[DiarySettings]] = [*CLASSES.values(), StoreSettings, HubSettings]
    assert all(settings() for settings in classes)
    assert TrainerSettings().base_model == InferenceSettings().base_model


def test_the_model_is_the_one_that_everything_was_planned_for():
    assert parse_model(settings_of(base())["TRAINER_BASE_MODEL"]) == CHAT


def test_what_only_fits_one_machine_is_set_for_every_service(objects: Objects):
    """A folder below the working directory, an address on loopback: no default that a pod could work with."""
    given = settings_of(objects)
    for service, settings in CLASSES.items():
        for variable, field in (fields(settings) | fields(StoreSettings)).items():
            about = (settings.model_fields | StoreSettings.model_fields)[field]
            if field == "models_dir" and "models" not in pods(objects)[service].volumes:
                continue
            if OF_ONE_MACHINE.search(str(about.default)):
                assert given.get(variable) or in_image(service, variable), (service, variable)


def test_every_secret_without_which_nothing_works_is_a_file_of_its_service(objects: Objects):
    found = pods(objects)
    for service in SERVICES:
        assert {"s3_access_key", "s3_secret_key", "tokens.json"} <= set(found[service].secret_files)
    of_studio = CLASSES["studio"].model_fields
    needed = [
        variable.lower()
        for variable, field in fields(CLASSES["studio"]).items()
        if is_secret(of_studio[field]) and of_studio[field].default is not None
    ]
    assert set(needed) <= set(found["studio"].secret_files)


@pytest.mark.parametrize("name", OVERLAYS)
def test_what_compose_sets_is_set_the_same(name: str):
    settings = settings_of(overlay(name))
    other = {"S3_URL"} if name == "gpu-cluster" else {"HF_HUB_OFFLINE"} if name == "team-example" else set()

    for service in SERVICES:
        for variable, value in compose(*(CPU if name == "cpu-demo" else GPU))[service]["environment"].items():
            if variable != "STUDIO_PORT" and variable not in other:  # the image says it
                assert settings[variable] == str(value), variable


def test_the_port_of_every_image_is_the_port_of_its_pods(objects: Objects):
    for service in SERVICES:
        [port] = pods(objects)[service].container["ports"]
        assert str(port["containerPort"]) == in_image(service, f"{service.upper()}_PORT")


def test_every_folder_of_an_image_that_is_written_is_a_volume(objects: Objects):
    """The root file system is read only."""
    for service, settings in CLASSES.items():
        mounts = {Path(mount["mountPath"]) for mount in pods(objects)[service].mounts.values()}
        for variable in folders(settings):
            folder = settings_of(objects).get(variable, in_image(service, variable))
            if folder:
                path = Path(folder)
                assert mounts & {path, *path.parents}, (service, variable)


def folders(settings: type[ServiceSettings]) -> list[str]:
    return [variable for variable, name in fields(settings).items() if name.endswith("_dir") and name != "models_dir"]
