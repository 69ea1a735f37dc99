"""Every way to put the manifests together, as a parameter."""

from __future__ import annotations

import pytest

from tests.k8s.manifests import FLEET, PRODUCTS, Objects, Pods, pods, product


@pytest.fixture(params=PRODUCTS)
def objects(request: pytest.FixtureRequest) -> Objects:
    return product(request.param)


@pytest.fixture(params=[*PRODUCTS, FLEET])
def all_objects(request: pytest.FixtureRequest) -> Objects:
    """The same, and the fleet beside them."""
    return product(request.param)


@pytest.fixture
def all_pods(all_objects: Objects) -> dict[str, Pods]:
    return pods(all_objects)
