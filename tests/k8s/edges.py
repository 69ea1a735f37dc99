"""Which connections the NetworkPolicies of rendered manifests allow, evaluated as the API's reference defines them.

A connection between two pods needs both ends: the caller's egress and the callee's ingress. A pod that no policy
selects for a direction is open in it; rules only add.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.k8s.manifests import Object, Objects, of_kind, pods

Edge = tuple[str, str, int]

ANYBODY = "anybody"  # in the cluster or outside
ANYWHERE = "anywhere"
INTERNET = "the internet"
EVERY_PORT = 0
PRIVATE = {"10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"}
PRIVATE_6 = {"::1/128", "fc00::/7", "fe80::/10"}
INTERNETS = {"0.0.0.0/0": PRIVATE, "::/0": PRIVATE_6}
STORE_PORTS = {"minio": "s3"}
OUTER_PORTS = {5432: "postgres"}


@dataclass(frozen=True)
class Node:
    """Pods of one kind, as policies see them."""

    name: str
    labels: dict[str, str]
    ports: frozenset[int]


def allowed_edges(objects: Objects) -> set[Edge]:
    """All connections that the policies allow, as (from, to, port).

    Pods have their workload's name. Whoever is no pod of these manifests is named by the rule: "anybody", "anywhere",
    "the internet" (without private ranges), a namespace such as "kube-system" or "vllm/vllm", or an address range.
    """
    nodes = _nodes(objects)
    policies = _Policies(objects)
    between = {
        (caller.name, callee.name, port)
        for caller in nodes
        for callee in nodes
        for port in callee.ports
        if policies.allow("egress", caller, callee, port) and policies.allow("ingress", callee, caller, port)
    }
    incoming = {(peer, node.name, port) for node in nodes for peer, port in policies.outside("ingress", node)}
    outgoing = {(node.name, peer, port) for node in nodes for peer, port in policies.outside("egress", node)}
    return between | incoming | outgoing


def service_edges(objects: Objects) -> set[tuple[str, str]]:
    """The allowed calls among services, the store and Postgres, in the words of a run's own record: (from, to)."""
    names = {node.name for node in _nodes(objects)}
    found = set()
    for caller, callee, port in allowed_edges(objects):
        if caller in names and callee in names:
            found.add((caller, STORE_PORTS.get(callee, callee)))
        elif caller in names and port in OUTER_PORTS:
            found.add((caller, OUTER_PORTS[port]))
    return found


class _Policies:
    def __init__(self, objects: Objects) -> None:
        self._policies = [found["spec"] for found in of_kind(objects, "NetworkPolicy").values()]
        [namespace] = of_kind(objects, "Namespace").values()
        name = namespace["metadata"]["name"]
        self._namespace = {**namespace["metadata"].get("labels", {}), "kubernetes.io/metadata.name": name}

    def allow(self, direction: str, node: Node, other: Node, port: int) -> bool:
        rules = self._rules(direction, node)
        if rules is None:
            return True
        return any(self._admits(rule, direction, other) and _has_port(rule, port) for rule in rules)

    def outside(self, direction: str, node: Node) -> Iterator[tuple[str, int]]:
        """Peers that are no pods of these manifests, and the port of the callee."""
        rules = self._rules(direction, node)
        everyone = ANYBODY if direction == "ingress" else ANYWHERE
        own = sorted(node.ports) if direction == "ingress" else [EVERY_PORT]
        if rules is None:
            rules = [{"ports": [{"port": port} for port in own]}]
        for rule in rules:
            for peer in _outer_peers(rule, direction, everyone):
                for port in [entry["port"] for entry in rule.get("ports", [])] or own:
                    yield peer, port

    def _rules(self, direction: str, node: Node) -> list[Object] | None:
        """The rules for a node; None where nothing restricts it."""
        selecting = [
            policy
            for policy in self._policies
            if direction.capitalize() in policy["policyTypes"] and selects(policy["podSelector"], node.labels)
        ]
        return [rule for policy in selecting for rule in policy.get(direction, [])] if selecting else None

    def _admits(self, rule: Object, direction: str, other: Node) -> bool:
        peers = _peers(rule, direction)
        if peers is None:
            return True
        return any(
            selects(peer.get("podSelector", {}), other.labels)
            and ("namespaceSelector" not in peer or selects(peer["namespaceSelector"], self._namespace))
            for peer in peers
            if "ipBlock" not in peer  # ranges are for what is no pod; a private address is in none of ours
        )


def selects(selector: Object, labels: dict[str, str]) -> bool:
    """A LabelSelector; an empty one selects all."""
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    return all(_expression_holds(one, labels) for one in selector.get("matchExpressions", []))


def _expression_holds(expression: Object, labels: dict[str, str]) -> bool:
    value = labels.get(expression["key"])
    holds = {
        "In": value in expression.get("values", []),
        "NotIn": value not in expression.get("values", []),
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }
    return holds[expression["operator"]]


def _peers(rule: Object, direction: str) -> list[Object] | None:
    """None: everyone. The API takes an empty list for a missing one."""
    return rule.get("from" if direction == "ingress" else "to") or None


def _outer_peers(rule: Object, direction: str, everyone: str) -> list[str]:
    peers = _peers(rule, direction)
    if peers is None:
        return [everyone]
    return [_name_of(peer) for peer in peers if "ipBlock" in peer or "namespaceSelector" in peer]


def _name_of(peer: Object) -> str:
    if "ipBlock" in peer:
        block = peer["ipBlock"]
        is_internet = block["cidr"] in INTERNETS and set(block.get("except", [])) >= INTERNETS[block["cidr"]]
        return INTERNET if is_internet else str(block["cidr"])
    namespace = _one_value(peer["namespaceSelector"], "kubernetes.io/metadata.name")
    if "podSelector" not in peer:
        return namespace
    return f"{namespace}/{_one_value(peer['podSelector'], 'app.kubernetes.io/name')}"


def _one_value(selector: Object, key: str) -> str:
    return str(selector.get("matchLabels", {}).get(key, "*"))


def _has_port(rule: Object, port: int) -> bool:
    return "ports" not in rule or port in [entry["port"] for entry in rule["ports"]]


def _nodes(objects: Objects) -> list[Node]:
    return [Node(name, found.labels, _ports(found.container)) for name, found in pods(objects).items()]


def _ports(container: dict[str, Any]) -> frozenset[int]:
    return frozenset(port["containerPort"] for port in container.get("ports", []))
