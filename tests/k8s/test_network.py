"""Who may talk to whom, as one readable table per overlay; nothing else is allowed."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

import pytest

from services.studio.machine.local import SERVICES
from tests.k8s.edges import (
    ANYBODY,
    ANYWHERE,
    EVERY_PORT,
    INTERNET,
    PRIVATE,
    PRIVATE_6,
    Edge,
    allowed_edges,
    selects,
    service_edges,
)
from tests.k8s.manifests import FLEET, OPTIONAL, WORKERS, Objects, base, of_kind, overlay, product, with_components

HTTP, S3, DNS, HTTPS, PLAIN, POSTGRES, API, VLLM = 8080, 9000, 53, 443, 80, 5432, 6443, 8000
NODE_DNS = "169.254.20.10/32"
NAMES = {(service, dns, DNS) for service in SERVICES for dns in ("kube-system", NODE_DNS)}
TRAINING_NAMES = {("training", "kube-system", DNS), ("training", NODE_DNS, DNS)}

PICTURE: set[Edge] = {
    (ANYBODY, "studio", HTTP),
    ("studio", "ingest", HTTP),
    ("studio", "transcription", HTTP),
    ("studio", "trainer", HTTP),
    ("studio", "inference", HTTP),
}
STORE: set[Edge] = {
    ("studio", "minio", S3),
    ("ingest", "minio", S3),
    ("transcription", "minio", S3),
    ("trainer", "minio", S3),
    ("inference", "minio", S3),
}
RECORDINGS: set[Edge] = {("ingest", INTERNET, PLAIN), ("ingest", INTERNET, HTTPS)}
MODELS: set[Edge] = {
    ("transcription", INTERNET, HTTPS),
    ("trainer", INTERNET, HTTPS),
    ("inference", INTERNET, HTTPS),
}
API_SERVER: set[Edge] = {("trainer", ANYWHERE, HTTPS), ("trainer", ANYWHERE, API)}
ON_ONE_NODE = PICTURE | STORE | RECORDINGS | MODELS | NAMES

EDGES: dict[str, set[Edge]] = {
    "cpu-demo": ON_ONE_NODE,
    "single-gpu": ON_ONE_NODE,
    "gpu-cluster": PICTURE
    | RECORDINGS
    | MODELS
    | NAMES
    | TRAINING_NAMES
    | API_SERVER
    | {
        ("studio", ANYWHERE, POSTGRES),
        ("ingest", ANYWHERE, POSTGRES),
        ("transcription", ANYWHERE, POSTGRES),
        ("trainer", ANYWHERE, POSTGRES),
        ("inference", ANYWHERE, POSTGRES),
        ("studio", ANYWHERE, HTTPS),
        ("ingest", ANYWHERE, HTTPS),
        ("transcription", ANYWHERE, HTTPS),
        ("trainer", ANYWHERE, HTTPS),
        ("inference", ANYWHERE, HTTPS),
        ("training", ANYWHERE, HTTPS),
    },
    "team-example": PICTURE
    | STORE
    | RECORDINGS
    | NAMES
    | TRAINING_NAMES
    | API_SERVER
    | {("training", "minio", S3), ("inference", "vllm/vllm", VLLM)},
    FLEET: {("*/inference", "vllm", VLLM)},
}


@pytest.mark.parametrize("name", EDGES)
def test_the_policies_allow_exactly_these_connections(name: str):
    assert allowed_edges(overlay(name)) == EDGES[name]


def test_monitoring_adds_prometheus_and_nothing_else():
    added = allowed_edges(with_components("monitoring")) - allowed_edges(base())

    assert added == {("monitoring", service, HTTP) for service in SERVICES}


def test_an_ingress_adds_no_edge_because_studio_is_open_already():
    assert allowed_edges(with_components("ingress")) == allowed_edges(base())


@pytest.mark.parametrize("name", sorted({*OPTIONAL} - {"monitoring"}))
def test_what_else_a_cluster_may_have_adds_no_edge(name: str):
    """KEDA asks Postgres, Kueue the API server and Grafana Prometheus: none asks a pod of ours."""
    assert allowed_edges(product(f"gpu-cluster+{name}")) == EDGES["gpu-cluster"]


def test_every_pod_is_closed_in_both_directions_before_anything_is_allowed(objects: Objects):
    closed = of_kind(objects, "NetworkPolicy")["nothing-else"]["spec"]

    assert closed == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert not [edge for edge in allowed_edges(objects) if EVERY_PORT in edge]


def test_what_counts_as_the_internet_leaves_out_the_cluster_and_its_network():
    policies = of_kind(base(), "NetworkPolicy").values()
    blocks = [block for policy in policies for block in ip_blocks(policy["spec"]) if block["cidr"] != NODE_DNS]

    assert {(block["cidr"], *sorted(block["except"])) for block in blocks} == {
        ("0.0.0.0/0", *sorted(PRIVATE)),
        ("::/0", *sorted(PRIVATE_6)),
    }


def test_every_exception_lies_within_its_block_as_the_api_server_reads_it(objects: Objects):
    """It reads an IPv4-mapped range as one of IPv4, which lies within no range of IPv6: no schema tells."""
    blocks = [block for policy in of_kind(objects, "NetworkPolicy").values() for block in ip_blocks(policy["spec"])]

    assert blocks
    for block in blocks:
        outer = ipaddress.ip_network(block["cidr"])
        for told in block.get("except", []):
            inner = ipaddress.ip_network(told)
            assert getattr(inner.network_address, "ipv4_mapped", None) is None, told
            assert inner.version == outer.version and inner.prefixlen > outer.prefixlen, told
            assert inner.network_address in outer, told


def ip_blocks(spec: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for direction, end in (("ingress", "from"), ("egress", "to")):
        for rule in spec.get(direction, []):
            yield from (peer["ipBlock"] for peer in rule.get(end, []) if "ipBlock" in peer)


def test_nothing_but_studio_is_published(objects: Objects):
    published = {found["kind"] for found in objects} & {"Ingress", "Gateway", "HTTPRoute"}

    assert {found["spec"].get("type", "ClusterIP") for found in of_kind(objects, "Service").values()} == {"ClusterIP"}
    for found in of_kind(objects, "Ingress").values():
        [path] = found["spec"]["rules"][0]["http"]["paths"]
        assert path["backend"]["service"]["name"] == "studio" and found["spec"]["tls"]
    assert published <= {"Ingress"}


def test_the_calls_among_services_are_those_of_the_picture():
    assert service_edges(overlay("single-gpu")) == {
        *(("studio", worker) for worker in WORKERS),
        *((service, "s3") for service in SERVICES),
    }
    assert service_edges(with_components("postgres-external")) == {
        *(("studio", worker) for worker in WORKERS),
        *((service, "s3") for service in SERVICES),
        *((service, "postgres") for service in SERVICES),
    }


# ---- the evaluator itself ------------------------------------------------------------------------------------------


def two_pods(*policies: dict) -> Objects:
    namespace = {"kind": "Namespace", "metadata": {"name": "n", "labels": {}}}
    return (namespace, deployment("a"), deployment("b"), *policies)


def deployment(name: str) -> dict:
    pod = {"containers": [{"ports": [{"containerPort": 1}]}], "volumes": []}
    template = {"metadata": {"labels": {"app": name}}, "spec": pod}
    return {"kind": "Deployment", "metadata": {"name": name}, "spec": {"replicas": 1, "template": template}}


def policy(name: str, app: str, direction: str, *rules: dict) -> dict:
    spec = {"podSelector": {"matchLabels": {"app": app}}, "policyTypes": [direction.capitalize()], direction: [*rules]}
    return {"kind": "NetworkPolicy", "metadata": {"name": name}, "spec": spec}


def test_without_a_policy_everything_is_open():
    assert allowed_edges(two_pods()) >= {("a", "b", 1), (ANYBODY, "b", 1), ("a", ANYWHERE, EVERY_PORT)}


def test_a_call_needs_the_callers_leave_and_the_callees():
    to_b = policy("1", "a", "egress", {"to": [pods_of("b")], "ports": [{"port": 1}]})
    from_a = policy("2", "b", "ingress", {"from": [pods_of("a")], "ports": [{"port": 1}]})

    assert ("a", "b", 1) in allowed_edges(two_pods(to_b, from_a))
    assert ("a", "b", 1) not in allowed_edges(two_pods(policy("1", "a", "egress"), from_a))
    assert ("a", "b", 1) not in allowed_edges(two_pods(to_b, policy("2", "b", "ingress")))
    assert ("b", "b", 1) not in allowed_edges(two_pods(from_a))


def test_another_port_and_another_namespace_are_other_matters():
    other_port = policy("1", "b", "ingress", {"from": [pods_of("a")], "ports": [{"port": 2}]})
    namespace = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "m"}}}
    from_m = policy("1", "b", "ingress", {"from": [namespace], "ports": [{"port": 1}]})

    assert ("a", "b", 1) not in allowed_edges(two_pods(other_port))
    assert {edge for edge in allowed_edges(two_pods(from_m)) if edge[1] == "b"} == {("m", "b", 1)}


def pods_of(app: str) -> dict:
    return {"podSelector": {"matchLabels": {"app": app}}}


def test_an_internet_that_holds_private_ranges_is_not_called_so():
    block = {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}], "ports": [{"port": 443}]}

    assert ("a", "0.0.0.0/0", 443) in allowed_edges(two_pods(policy("1", "a", "egress", block)))


@pytest.mark.parametrize(
    ("operator", "values", "expected"),
    [("In", ["x"], True), ("NotIn", ["x"], False), ("Exists", None, True), ("DoesNotExist", None, False)],
)
def test_expressions_select(operator: str, values: list[str] | None, expected: bool):
    expression = {"key": "app", "operator": operator, **({"values": values} if values else {})}

    assert selects({"matchExpressions": [expression]}, {"app": "x"}) is expected
