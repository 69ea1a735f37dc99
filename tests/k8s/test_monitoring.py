"""The alerts and the dashboard: they ask for figures that our services tell, and for labels that these have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from services.studio.machine.local import SERVICES
from shared.telemetry import Metrics
from tests.k8s.manifests import base, of_kind, pods, with_components

OTHERS = {  # of Prometheus itself, and of the kubelet
    "up",
    "kubelet_volume_stats_available_bytes",
    "kubelet_volume_stats_capacity_bytes",
}
OF_PROMQL = {"by", "unless"}
OF_A_BUCKET = "le"
ADDED = {"namespace", "service", "pod", "job", "persistentvolumeclaim"}  # labels that the Prometheus operator adds


def alerts() -> dict[str, dict]:
    [group] = of_kind(with_components("monitoring"), "PrometheusRule")["diary"]["spec"]["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


def dashboard() -> dict[str, Any]:
    found = of_kind(with_components("grafana"), "ConfigMap")["diary-dashboard"]
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    return dict(json.loads(found["data"]["diary.json"]))


def queries() -> Iterator[tuple[str, str, str]]:
    """Of every panel: its title, what it asks, and what it calls the answers."""
    for panel in dashboard()["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"], target["legendFormat"]


def told() -> dict[str, set[str]]:
    """Every sample that a service tells, with its labels."""
    metrics = Metrics("ingest")
    metrics.request("GET", 200)
    metrics.gpu("lamplight", 1.0)
    with metrics.job("import"):
        pass
    families = text_string_to_metric_families(metrics.render().decode())
    return {sample.name: set(sample.labels) for family in families for sample in family.samples}


def figures(expression: str) -> set[str]:
    """The metrics that a PromQL expression names: all names but functions, labels and the language's own words."""
    bare = re.sub(r'"[^"]*"|\[[^\]]*\]|\{[^}]*\}|\bby \([^)]*\)', "", expression)
    return set(re.findall(r"\b[a-zA-Z_:][\w:]*\b(?!\s*\()", bare)) - OF_PROMQL


def labels(expression: str) -> set[str]:
    """Those by which an expression groups or selects."""
    grouped = [label.strip() for group in re.findall(r"\bby \(([^)]*)\)", expression) for label in group.split(",")]
    return {*grouped, *re.findall(r'(\w+)(?:=~?|!=|!~)"', expression)}


def test_figures_and_labels_are_read_out_of_an_expression():
    expression = 'sum by (le, kind) (rate(a_b{c=~"d_e", f!="g"}[5m])) > 0.05 * max_over_time(h[1h:5m]) unless i'

    assert figures(expression) == {"a_b", "h", "i"}
    assert labels(expression) == {"le", "kind", "c", "f"}


def test_every_alert_asks_for_figures_that_are_told():
    for name, rule in alerts().items():
        asked = figures(rule["expr"])
        assert asked and asked <= {*told()} | OTHERS, (name, asked)


def test_every_alert_asks_for_labels_that_these_figures_have():
    known = set.union(*told().values()) | ADDED
    for name, rule in alerts().items():
        used = labels(rule["expr"])
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


# ---- the dashboard -------------------------------------------------------------------------------------------------


def test_every_panel_asks_for_figures_that_are_told():
    for title, expression, _ in queries():
        asked = figures(expression)
        assert asked and asked <= {*told()} | {"up"}, (title, asked - {*told()})


def test_every_panel_asks_for_labels_that_its_figures_have():
    have = told() | {"up": set[str]()}
    for title, expression, legend in queries():
        asked, used = figures(expression), labels(expression)
        assert used <= set.union(*(have[name] for name in asked)) | ADDED, (title, used)
        assert (OF_A_BUCKET in used) == any(name.endswith("_bucket") for name in asked), title
        assert set(re.findall(r"\{\{(\w+)\}\}", legend)) <= used, (title, legend)
        assert expression.count("(") == expression.count(")"), title


def test_every_figure_of_ours_is_on_the_dashboard():
    asked = {name for _, expression, _ in queries() for name in figures(expression)} - {"up"}

    assert families(asked) == families({name for name in told() if not name.endswith("_created")})


def families(samples: set[str]) -> set[str]:
    return {re.sub(r"_(bucket|count|sum)$", "", name) for name in samples}


def test_every_panel_has_a_place_of_its_own_and_asks_the_source_and_namespace_that_were_chosen():
    board = dashboard()
    variables = {one["name"]: one for one in board["templating"]["list"]}
    places = [place for panel in board["panels"] for place in cells(panel["gridPos"])]

    assert len(places) == len({*places}) and max(x for x, _ in places) < 24
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert {*variables} == {"datasource", "namespace"}
    [figure] = figures(variables["namespace"]["query"].removeprefix("label_values(").split(",")[0])
    assert figure in told()
    for panel in board["panels"]:
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}
    for title, expression, _ in queries():
        for figure in figures(expression):
            chosen = re.findall(rf"\b{figure}\b(.*?}}|)", expression)
            assert chosen and all('namespace=~"$namespace"' in one for one in chosen), title


def cells(place: dict[str, int]) -> Iterator[tuple[int, int]]:
    for x in range(place["x"], place["x"] + place["w"]):
        for y in range(place["y"], place["y"] + place["h"]):
            yield x, y
