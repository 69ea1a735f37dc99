"""The alerts: they ask for figures that our services tell, and for labels that these have."""

from __future__ import annotations

import re

from prometheus_client.parser import text_string_to_metric_families

from services.studio.machine.local import SERVICES
from shared.telemetry import Metrics
from tests.k8s.manifests import base, of_kind, pods, with_components

OTHERS = {  # of Prometheus itself, and of the kubelet
    "up",
    "kubelet_volume_stats_available_bytes",
    "kubelet_volume_stats_capacity_bytes",
}
ADDED = {"namespace", "service", "pod", "job", "persistentvolumeclaim"}  # labels that the Prometheus operator adds


def alerts() -> dict[str, dict]:
    [group] = of_kind(with_components("monitoring"), "PrometheusRule")["diary"]["spec"]["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


def told() -> dict[str, set[str]]:
    """Every sample that a service tells, with its labels."""
    metrics = Metrics("ingest")
    metrics.request("GET", 200)
    metrics.gpu("lamplight", 1.0)
    with metrics.job("import"):
        pass
    families = text_string_to_metric_families(metrics.render().decode())
    return {sample.name: set(sample.labels) for family in families for sample in family.samples}


def test_every_alert_asks_for_figures_that_are_told():
    for name, rule in alerts().items():
        asked = set(re.findall(r"\b([a-z]\w*)(?=[\[{)]|\s*(?:==|>|<|$))", strip_labels(rule["expr"]))) - {"by"}
        asked = {one for one in asked if "_" in one or one == "up"} - {"min_over_time"}
        assert asked and asked <= set(told()) | OTHERS, (name, asked)


def test_every_alert_asks_for_labels_that_these_figures_have():
    known = set.union(*told().values()) | ADDED
    for name, rule in alerts().items():
        grouped = re.findall(r"by \(([^)]*)\)", rule["expr"])
        matched = re.findall(r"(\w+)=~?\"", rule["expr"])
        used = {label.strip() for group in grouped for label in group.split(",")} | set(matched)
        shown = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
        assert used | shown <= known, (name, (used | shown) - known)


def test_every_alert_says_what_to_look_at():
    for name, rule in alerts().items():
        assert rule["labels"]["severity"] in ("warning", "critical"), name
        assert rule["annotations"]["summary"] and rule["annotations"]["description"], name
        assert rule["expr"].count("(") == rule["expr"].count(")"), name


def test_the_name_of_the_job_is_the_one_that_alerts_ask_for():
    monitor = of_kind(with_components("monitoring"), "ServiceMonitor")["diary"]["spec"]
    services = of_kind(base(), "Service")

    names = {services[name]["metadata"]["labels"][monitor["jobLabel"]] for name in SERVICES}
    assert names == {"diary"} and 'up{job="diary"}' in alerts()["DiaryServiceDown"]["expr"]


def test_the_volumes_that_are_watched_are_there():
    watched = re.search(r'persistentvolumeclaim=~"([^"]*)"', alerts()["DiaryVolumeAlmostFull"]["expr"])
    assert watched is not None
    claims = {*of_kind(base(), "PersistentVolumeClaim")}
    claims |= {f"state-{name}-0" for name, found in pods(base()).items() if found.kind == "StatefulSet"}

    assert all(re.fullmatch(watched[1], claim) for claim in claims)


def strip_labels(expression: str) -> str:
    return re.sub(r"by \([^)]*\)|\{[^}]*\}", "", expression)
