"""Training in pods: against answers as Kubernetes gives them, from a cluster whose pods are real processes here."""

from __future__ import annotations

import json
import logging
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from lightkube import Client, KubeConfig
from lightkube.models.batch_v1 import JobCondition
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.batch_v1 import Job
from lightkube.resources.core_v1 import Pod, PodTemplate

from services.trainer import cluster as training
from services.trainer import job as story
from services.trainer.cluster import Cluster, PodLog, end_job, failure_of, job_name, job_of, pod_device, train_in_a_pod
from services.trainer.engine import TrainingEngine
from services.trainer.settings import Settings
from shared import keys
from shared.errors import (
    ArtifactMissingError,
    BadInputError,
    ConflictError,
    EngineFailedError,
    EngineRefusedError,
    JobCancelledError,
    MachineUnfitError,
    NoSpaceError,
    NotAllowedError,
    NotFoundError,
    OutOfMemoryError,
    ServiceUnavailableError,
    StoreUnavailableError,
)
from shared.gpu_time import charged_to
from shared.models import Base
from shared.schemas import Adapter, Checkpoint, DatasetRequest, TrainRequest, TrainResult
from shared.store import S3Store, get_blob, load
from tests import kit
from tests.fakes import FakeCluster, FakeJob, FakePod, ScriptedTrainingEngine, kubernetes_shape
from tests.trainer.conftest import SHOW

KUBERNETES = ("1.34", "newest")
STEPS = 12
LONG = 40  # of a training to which something happens: seconds are left for it, also on a busy machine
STEP = re.compile(r"training step (\d+)")


def template() -> PodTemplate:
    return cast(PodTemplate, PodTemplate.from_dict(kubernetes_shape("pod-template")))


def pod(status: str, **terminated: Any) -> Pod:
    """A pod that shows one of the recorded statuses, with other values for how its container ended."""
    shape = kubernetes_shape("pod-statuses")[status]
    if terminated:
        shape["containerStatuses"][0]["state"]["terminated"] |= terminated
    spec = kubernetes_shape("pod-template")["template"]["spec"]
    meta = {"name": "train-lamp-8ckj8", "namespace": "diary"}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec, "status": shape}
    return cast(Pod, Pod.from_dict(body))


def leaving(found: Pod) -> Pod:
    """It was told to go."""
    assert found.metadata
    found.metadata.deletionTimestamp = datetime.now(UTC)
    return found


# ---- what is sent ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", KUBERNETES)
def test_the_job_that_is_made_is_what_the_api_expects(job, version: str):
    validate = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is missing; run `make install`")
    version = validate.latest_version() if version == "newest" else version
    made = job_of(TrainRequest(show="lamp", dataset="d1"), job, template()).to_dict()

    validate.validate({"apiVersion": "batch/v1", "kind": "Job", **made}, version, strict=True)


@pytest.mark.parametrize("version", KUBERNETES)
def test_the_answers_that_we_test_with_are_what_the_api_gives(job, version: str):
    validate = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is missing; run `make install`")
    version = validate.latest_version() if version == "newest" else version
    made = job_of(TrainRequest(show="lamp", dataset="d1"), job, template()).to_dict()
    shape = kubernetes_shape("pod-template")

    validate.validate(shape, version, strict=True)
    for status in kubernetes_shape("job-statuses").values():
        validate.validate({"apiVersion": "batch/v1", "kind": "Job", **made, "status": status}, version, strict=True)
    for status in kubernetes_shape("pod-statuses").values():
        status.setdefault("conditions", []).append(kubernetes_shape("disruption"))
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": shape["template"]["spec"]}
        validate.validate({**body, "status": status}, version, strict=True)


def test_the_job_carries_order_labels_and_what_happens_to_failed_pods(job):
    made = job_of(TrainRequest(show="lamp", dataset="d1"), job, template()).to_dict()

    spec, pod_spec = made["spec"], made["spec"]["template"]["spec"]
    [container] = pod_spec["containers"]
    [order] = [variable["value"] for variable in container["env"] if variable["name"] == "TRAINER_ORDER"]
    assert json.loads(order)["job"] == job.id and json.loads(order)["request"]["dataset"] == "d1"
    assert container["image"] == "diary/trainer:0.1.0" and pod_spec["restartPolicy"] == "Never"
    assert pod_spec["automountServiceAccountToken"] is False and pod_spec["enableServiceLinks"] is False
    for meta in (made["metadata"], spec["template"]["metadata"]):
        assert meta["labels"]["app.kubernetes.io/name"] == "training" and meta["labels"]["diary/show"] == "lamp"
        assert meta["annotations"]["diary/job-id"] == job.id
    assert made["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpus", "labels of the PodTemplate are the Job's"
    ignored, stopped, failing = spec["podFailurePolicy"]["rules"]
    assert ignored == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    assert stopped["action"] == "Ignore" and stopped["onExitCodes"]["values"] == [143]
    assert failing["onExitCodes"] == {"containerName": "trainer", "operator": "In", "values": [1, 70, 137]}
    assert (spec["completions"], spec["parallelism"], spec["backoffLimit"]) == (1, 1, 6)
    assert spec["ttlSecondsAfterFinished"] == 86400


@pytest.mark.parametrize("show", ["lamp", "a" * 63, "a" * 39 + "-b"])
def test_a_job_has_one_name_that_dns_allows(show: str):
    name = job_name(show, "studio:pipeline-7.train")

    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", name) and len(name) + len("-abcde") <= 63
    assert name == job_name(show, "studio:pipeline-7.train") != job_name(show, "studio:pipeline-8.train")


def test_a_template_without_our_container_is_refused(job):
    other = template()
    assert other.template and other.template.spec
    other.template.spec.containers[0].name = "main"

    with pytest.raises(BadInputError, match="no container named trainer"):
        job_of(TrainRequest(show="lamp", dataset="d1"), job, other)


# ---- what is understood ----------------------------------------------------------------------------------------------

TOLD = '{"type":"urn:diary:StoreUnavailable","title":"StoreUnavailable","status":503,"detail":"the store is away"}'


@pytest.mark.parametrize(
    ("ended", "error", "words"),
    [
        (pod("ended"), OutOfMemoryError, r"killed for its memory \(32Gi\); raise resources.limits.memory .* training"),
        (pod("ended", reason="Error"), OutOfMemoryError, "raise resources.limits.memory"),
        (leaving(pod("ended")), OutOfMemoryError, "raise resources.limits.memory"),
        (
            leaving(pod("ended", reason="Error")),
            EngineFailedError,
            "did not go in time: termination.* PodTemplate training",
        ),
        (pod("ended", reason="ContainerStatusUnknown"), EngineFailedError, "taken away before anybody saw"),
        (pod("out of disk"), NoSpaceError, 'EmptyDir volume "state" exceeds the limit'),
        (pod("ended", exitCode=75, reason="Error", message=TOLD), StoreUnavailableError, "^the store is away$"),
        (pod("ended", exitCode=143, reason="Error"), EngineFailedError, "train-lamp-8ckj8 was told to go$"),
        (pod("ended", exitCode=1, reason="Error"), EngineRefusedError, "exit code 1 .* nobody foresaw"),
        (pod("ended", exitCode=139, reason="Error", message="Segmentation"), EngineFailedError, "exit code 139"),
        (pod("running"), EngineRefusedError, "BackoffLimitExceeded: Job has reached the specified backoff limit"),
    ],
    ids=[
        "oom",
        "killed",
        "oom on leaving",
        "late",
        "never began",
        "disk",
        "told",
        "stopped",
        "unforeseen",
        "crash",
        "nothing known",
    ],
)
def test_a_failed_job_says_why_in_the_trainers_own_errors(ended: Pod, error: type[Exception], words: str):
    shape = kubernetes_shape("job-statuses")["failed too often"]["conditions"][-1]
    condition = cast(JobCondition, JobCondition.from_dict(shape))
    found = failure_of(Job(metadata=ObjectMeta(name="train-lamp")), condition, [ended], "training")

    assert type(found) is error and re.search(words, str(found))


class ScriptedLog:
    """A Cluster that answers with the next of some logs; None breaks off."""

    def __init__(self, *answers: list[str] | None) -> None:
        self.answers = list(answers)
        self.asked: list[int | None] = []

    def log(self, pod: str, since_s: int | None) -> list[str]:
        self.asked.append(since_s)
        answer = self.answers.pop(0)
        if answer is None:
            raise ServiceUnavailableError("broke off")
        return answer


def test_a_log_that_breaks_off_is_asked_for_again_and_no_line_is_told_twice():
    cluster = ScriptedLog(["1 a", "2 b"], None, ["2 b", "3 b", "4 c"], ["4 c"])
    log: Any = PodLog("pod", cluster)  # type: ignore[arg-type]

    assert list(log.fresh()) == ["a", "b"]
    with pytest.raises(ServiceUnavailableError):
        list(log.fresh())
    assert list(log.fresh()) == ["b", "c"] and list(log.fresh()) == []
    assert cluster.asked == [None, 5, 5, 5], "the lines of the last seconds, with some overlap"


def test_what_else_a_pod_writes_goes_into_the_log_with_its_level(job, caplog):
    caplog.set_level(logging.INFO)

    training.relay('{"level": "warning", "message": "slow"}', "pod-1", job)
    training.relay("Loading weights: 100%", "pod-1", job)
    training.relay('{"progress": {"new": 1}}', "pod-1", job)

    told = [(record.levelname, record.getMessage(), record.pod) for record in caplog.records]  # type: ignore[attr-defined]
    assert told[:2] == [("WARNING", "slow", "pod-1"), ("INFO", "Loading weights: 100%", "pod-1")]
    assert len(told) == 3 and not job.events


def test_datasets_are_made_for_the_pods_and_not_for_the_trainer(tmp_path: Path):
    settings = Settings(pod_template="training", pod_gpus=2, pod_gpu_memory_gb=80.0, log_dir=tmp_path)
    engine = TrainingEngine.from_settings(settings, None, elsewhere=pod_device(settings))

    assert (engine.device().kind, engine.device().count, engine.device().memory_gb) == ("cuda", 2, 80.0)
    assert pod_device(settings.model_copy(update={"pod_gpus": 0})).kind == "cpu"


def test_without_a_cluster_the_setting_is_refused_with_what_to_do(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))

    with pytest.raises(MachineUnfitError, match="TRAINER_POD_TEMPLATE is set, but no Kubernetes API"):
        Cluster.from_environment("training")


# ---- a cluster -------------------------------------------------------------------------------------------------------


@pytest.fixture
def variables(s3_variables: dict[str, str], base: Base) -> dict[str, str]:
    """What the ConfigMap and the Secrets of a cluster would hold."""
    return {
        **s3_variables,
        "TRAINER_BASE_MODEL": str(base.folder),
        "TRAINER_DEVICE": "cpu",
        "TRAINER_ENGINE_COMMAND": f"{sys.executable} -m tests.fakes trainer",
        "FAKE_STEP_S": "0.1",
    }


@pytest.fixture
def kubernetes(tmp_path: Path, variables: dict[str, str]) -> Iterator[FakeCluster]:
    cluster = FakeCluster(tmp_path / "pods", variables)
    yield cluster
    cluster.stop()


@pytest.fixture
def cluster(kubernetes: FakeCluster) -> Cluster:
    client = Client(KubeConfig.from_dict(kubernetes.kubeconfig()))
    return Cluster(client, "training", poll_s=0.05, start_patience_s=0.5)


@pytest.fixture
def wish(there: S3Store, engine: ScriptedTrainingEngine, tmp_path: Path) -> TrainRequest:
    (tmp_path / "build").mkdir()
    request = DatasetRequest(show=SHOW.slug, max_length=512)
    built = story.build(request, job=FakeJob(tmp_path / "build"), store=there, engine=engine)
    return TrainRequest(show=SHOW.slug, dataset=built.dataset, steps=STEPS, checkpoint_every=4)


Train = Callable[..., TrainResult]


@pytest.fixture
def train(there: S3Store, engine: ScriptedTrainingEngine, cluster: Cluster, wish: TrainRequest) -> Train:
    def in_a_pod(job: FakeJob, request: TrainRequest = wish) -> TrainResult:
        return train_in_a_pod(request, job=job, store=there, engine=engine, cluster=cluster)

    return in_a_pod


@pytest.fixture
def long_wish(wish: TrainRequest) -> TrainRequest:
    return wish.model_copy(update={"steps": LONG})


@pytest.fixture
def begin(train: Train, long_wish: TrainRequest) -> Iterator[Callable[[FakeJob], Future[TrainResult]]]:
    """Train while the test does something else."""
    with ThreadPoolExecutor() as pool:
        yield lambda job: pool.submit(train, job, long_wish)


def steps_of(job: FakeJob) -> list[int]:
    """Steps that were trained, as the job was told of them."""
    return [int(found[1]) for stage, *_ in job.events if (found := STEP.match(stage))]


def until_step(job: FakeJob, step: int) -> None:
    kit.until(lambda: step in steps_of(job), f"step {step} is told")


def steps_written(pod: FakePod) -> list[int]:
    """Steps that a pod has trained, by its own log."""
    return [int(step) for _, line in pod.lines for step in STEP.findall(line)]


def saved_by(pod: FakePod) -> int:
    """The newest step whose checkpoint a pod had in hand to store."""
    told = [json.loads(line).get("progress", {}) for _, line in pod.lines if line.startswith("{")]
    stored = [int(one["done"]) for one in told if one.get("stage") == "storing checkpoint"]
    return stored[-1]


def checkpoints(store: S3Store) -> list[int]:
    return [load(store, key, Checkpoint).step for key in store.list(keys.checkpoints(SHOW.slug, 1))]


@pytest.mark.s3
def test_a_pod_makes_the_adapter_that_the_trainer_itself_would_make(
    train, kubernetes, there, wish, job, base, variables, tmp_path, s3, monkeypatch
):
    result = train(job)
    made = load(there, result.key, Adapter)
    monkeypatch.setenv("FAKE_STEP_S", "0")
    settings = Settings(base_model=str(base.folder), engine_command=variables["TRAINER_ENGINE_COMMAND"], device="cpu")
    engine = TrainingEngine.from_settings(settings.model_copy(update={"log_dir": tmp_path / "logs"}), None)
    (tmp_path / "here").mkdir()
    here = story.train(wish, job=FakeJob(tmp_path / "here", "job-2"), store=there, engine=engine)

    other = load(there, here.key, Adapter)
    same = {"base_model", "base_revision", "dataset", "rank", "target_modules", "metrics", "step", "steps", "warnings"}
    assert made.model_dump(include=same) == other.model_dump(include=same)
    weights = [get_blob(there, one.files["adapter_model.safetensors"]) for one in (made, other)]
    assert weights[0] == weights[1]
    assert made.lineage.job == job.id and made.lineage.actor == "tester"
    assert steps_of(job) == list(range(1, STEPS + 1)), "each step is told once, in order"
    assert len(kubernetes.made) == 1 and len(kubernetes.pods) == 1 and not kubernetes.deleted
    assert train(job) == result and len(kubernetes.made) == 1, "a repeat finds the adapter"


@pytest.mark.s3
def test_a_log_connection_that_drops_loses_no_step_and_tells_none_twice(train, long_wish, kubernetes, job):
    kubernetes.broken_logs = 5

    train(job, long_wish)

    assert kubernetes.broken_logs == 0 and steps_of(job) == list(range(1, LONG + 1))


@pytest.mark.s3
def test_a_job_says_what_its_pod_waits_for(begin, kubernetes, job):
    kubernetes.shows = "unschedulable"
    trained = begin(job)
    kit.until(lambda: any("3 Insufficient nvidia.com/gpu" in note for note in job.notes), "the scheduler's words")
    kubernetes.go.set()

    trained.result(60)
    assert training.WAITING in {stage for stage, *_ in job.events}


@pytest.mark.s3
def test_a_pod_that_cannot_start_is_given_up_after_a_while_and_its_job_deleted(train, kubernetes, job):
    kubernetes.shows = "image not there"

    with pytest.raises(EngineRefusedError, match=r"ImagePullBackOff: .*Correct the image .* PodTemplate training"):
        train(job)
    assert len(kubernetes.deleted) == 1
    kubernetes.go.set()


@pytest.mark.s3
def test_a_pod_killed_for_its_memory_fails_the_job_with_what_to_raise(begin, kubernetes, job):
    trained = begin(job)
    until_step(job, 5)
    kubernetes.kill_for_memory()

    with pytest.raises(OutOfMemoryError, match=r"32Gi.*resources.limits.memory in the PodTemplate training"):
        trained.result(60)
    assert len(kubernetes.pods) == 1 and not kubernetes.deleted, "another pod would die too; this one can be looked at"


@pytest.mark.s3
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["drained", "node lost"])
def test_after_an_eviction_another_pod_goes_on_from_the_newest_checkpoint(
    begin, kubernetes, there, job, how: int, caplog
):
    trained = begin(job)
    until_step(job, 6)
    kubernetes.evict(how)

    result = trained.result(60)

    assert len(kubernetes.made) == 1
    first, second = kubernetes.pods.values()
    went_on_at = min(steps_written(second))
    assert went_on_at > 4, "the checkpoint of step 4 was there, so nothing before it is trained again"
    if how == signal.SIGTERM:
        assert went_on_at == saved_by(first) + 1 >= 7, "the step in hand was saved first"
    assert [point.step for point in load(there, result.key, Adapter).metrics] == list(range(LONG + 1))
    assert f"training pod {first.name} is over" in caplog.text


@pytest.mark.s3
def test_a_cancel_deletes_the_job_and_its_pod_saves_what_it_has(begin, kubernetes, there, job):
    trained = begin(job)
    until_step(job, 5)
    job.cancel()

    with pytest.raises(JobCancelledError):
        trained.result(60)
    assert kubernetes.deleted == [job_name(SHOW.slug, job.id)] and not kubernetes.jobs
    [pod] = kubernetes.pods.values()
    kit.until(lambda: pod.process.poll() is not None, "the pod has ended")
    assert pod.process.returncode == 143 and checkpoints(there)[-1] >= 5


@pytest.mark.s3
def test_what_cannot_be_trained_on_gets_no_pod(train, kubernetes, wish, job):
    with pytest.raises(ArtifactMissingError):
        train(job, wish.model_copy(update={"dataset": "none"}))

    assert kubernetes.sent == []


@pytest.mark.s3
def test_what_a_pod_refuses_is_the_same_error_here(train, kubernetes, tmp_path, job):
    other = kit.tiny_base_model(tmp_path / "other")
    (other / "revision.json").write_text(json.dumps({"name": "tests/other", "revision": "s" * 64}))
    kubernetes.environment["TRAINER_BASE_MODEL"] = str(other)

    with pytest.raises(BadInputError, match="tests/other"):
        train(job)
    [pod] = kubernetes.pods.values()
    assert pod.process.returncode == 70


@pytest.mark.s3
@pytest.mark.parametrize("what", ["POST jobs", "GET jobs", "GET podtemplates", "GET pods", "GET pods/log"])
def test_a_right_that_is_missing_is_named_with_the_role_that_gives_it(train, kubernetes, job, what: str):
    kubernetes.refuse[what] = 403

    with pytest.raises(NotAllowedError, match=r'cannot create resource "jobs".*bind the Role `trainer`'):
        train(job)


@pytest.mark.s3
@pytest.mark.parametrize(
    ("what", "code", "error", "words"),
    [
        ("GET jobs", 401, NotAllowedError, "service account's token"),
        ("POST jobs", 422, BadInputError, "image: Required value"),
        ("POST jobs", 500, ServiceUnavailableError, "etcdserver: request timed out"),
    ],
)
def test_what_the_api_answers_becomes_an_error_of_ours(train, kubernetes, job, what, code, error, words):
    kubernetes.refuse[what] = code

    with pytest.raises(error, match=words):
        train(job)


@pytest.mark.s3
def test_a_template_that_is_not_there_is_named(train, kubernetes, job):
    kubernetes.template = None

    with pytest.raises(NotFoundError, match="namespace diary has no PodTemplate training"):
        train(job)


@pytest.mark.s3
def test_while_the_api_is_away_the_pod_goes_on_and_so_does_the_job(begin, kubernetes, job):
    trained = begin(job)
    until_step(job, 2)
    kubernetes.refuse["GET jobs"] = 500
    kit.until(lambda: any("the pod goes on meanwhile" in note for note in job.notes), "it is told")
    kubernetes.refuse.clear()

    trained.result(60)

    assert len(kubernetes.made) == len(kubernetes.pods) == 1 and not kubernetes.deleted


@pytest.mark.s3
def test_a_cancel_while_the_api_is_away_deletes_the_job_once_it_is_back(begin, kubernetes, job):
    trained = begin(job)
    until_step(job, 2)
    kubernetes.refuse |= {"GET jobs": 500, "DELETE jobs": 500}
    kit.until(lambda: any("the pod goes on meanwhile" in note for note in job.notes), "it is told")
    job.cancel()
    kit.until(lambda: any(asked.startswith("DELETE") for asked in kubernetes.sent), "the deletion was tried")
    kubernetes.refuse.clear()

    with pytest.raises(JobCancelledError):
        trained.result(60)
    assert kubernetes.deleted == [job_name(SHOW.slug, job.id)]


@pytest.mark.s3
def test_a_cancelled_job_that_no_worker_follows_is_deleted_too(cluster, kubernetes, job, wish):
    kubernetes.shows = "creating"
    cluster.create(job_of(wish, job, cluster.pod_template()))

    for _ in range(2):
        end_job(SHOW.slug, job.id, cluster)

    assert kubernetes.deleted == [job_name(SHOW.slug, job.id)] and not kubernetes.jobs


@pytest.mark.s3
def test_two_workers_that_make_one_job_at_once_follow_the_same(cluster, kubernetes, job, wish):
    kubernetes.shows = "creating"
    body = job_of(wish, job, cluster.pod_template())

    first, second = cluster.create(body), cluster.create(body)

    assert first.metadata and second.metadata and first.metadata.uid == second.metadata.uid
    assert len(kubernetes.made) == 1


@pytest.mark.s3
def test_a_job_that_somebody_deletes_fails_with_how_to_go_on(begin, kubernetes, job):
    trained = begin(job)
    until_step(job, 2)
    kubernetes.delete_job(job_name(SHOW.slug, job.id))

    with pytest.raises(ConflictError, match=r"was deleted in the cluster .* --resume"):
        trained.result(60)


@pytest.mark.s3
def test_a_suspended_job_says_so(begin, kubernetes, job):
    kubernetes.shows = "creating"
    kubernetes.template["metadata"]["labels"].pop(training.QUEUE)
    trained = begin(job)
    kit.until(lambda: kubernetes.pods, "the Job and its pod are there")
    [name] = kubernetes.jobs
    kubernetes.jobs[name]["status"] = kubernetes_shape("job-statuses")["suspended"]
    for one in kubernetes.pods.values():
        one.gone = True
    kit.until(lambda: any("the Job is suspended" in note for note in job.notes), "it is told")
    job.cancel()

    with pytest.raises(JobCancelledError):
        trained.result(60)
    assert training.IN_QUEUE not in stages_of(job)
    kubernetes.go.set()


# ---- a queue of the cluster's ----------------------------------------------------------------------------------------


def until_queued(job: FakeJob, times: int) -> None:
    """The job was told so many times that it is in the queue, with something else in between."""

    def waits() -> int:
        stages = stages_of(job)
        return sum(now == training.IN_QUEUE != before for before, now in zip(["", *stages], stages, strict=False))

    kit.until(lambda: waits() == times, "it waits in the queue")


def stages_of(job: FakeJob) -> list[str]:
    return [stage for stage, *_ in job.events]


@pytest.mark.s3
def test_a_job_waits_in_the_clusters_queue_and_has_no_pod_before_its_turn(begin, kubernetes, job):
    kubernetes.queues = True
    trained = begin(job)
    until_queued(job, 1)

    assert not kubernetes.pods and not trained.done()
    assert any("is in the queue gpus; `kubectl describe workloads`" in note for note in job.notes)
    kubernetes.admit()

    trained.result(60)
    assert len(kubernetes.made) == len(kubernetes.pods) == 1 and steps_of(job) == list(range(1, LONG + 1))


@pytest.mark.s3
def test_a_preempted_job_waits_again_and_goes_on_however_often(begin, kubernetes, there, job, monkeypatch):
    monkeypatch.setattr(training, "RETRIES", 1)
    kubernetes.queues = True
    trained = begin(job)
    for times in (1, 2, 3):
        until_queued(job, times)
        kubernetes.admit()
        until_step(job, 5 * times)
        kubernetes.preempt()
    until_queued(job, 4)
    assert checkpoints(there)[-1] >= 15, "the step in hand was saved"
    kubernetes.admit()

    result = trained.result(60)

    assert len(kubernetes.made) == 1 and len(kubernetes.pods) == 4 and not kubernetes.deleted
    assert [point.step for point in load(there, result.key, Adapter).metrics] == list(range(LONG + 1))
    assert any("was told to go" in note or "the cluster took it away" in note for note in job.notes)


@pytest.mark.s3
def test_a_preempted_pod_that_was_too_slow_to_go_is_no_pod_killed_for_its_memory(begin, kubernetes, there, job):
    kubernetes.queues = True
    trained = begin(job)
    until_queued(job, 1)
    kubernetes.admit()
    until_step(job, 6)
    kubernetes.preempt(signal.SIGKILL)

    with pytest.raises(EngineFailedError, match="terminationGracePeriodSeconds") as error:
        trained.result(60)
    assert error.value.retryable and kubernetes.deleted == [job_name(SHOW.slug, job.id)], "the next try makes a new Job"

    again = begin(job)
    kit.until(lambda: kubernetes.jobs, "the new Job is there")
    kubernetes.admit()
    assert [point.step for point in load(there, again.result(60).key, Adapter).metrics] == list(range(LONG + 1))
    assert min(steps_written([*kubernetes.pods.values()][-1])) > 4, "it goes on from the newest checkpoint"


@pytest.mark.s3
def test_a_job_preempted_while_its_image_comes_has_failed_for_no_reason_of_its_own(begin, kubernetes, there, job):
    kubernetes.queues, kubernetes.shows = True, "creating"
    trained = begin(job)
    until_queued(job, 1)
    kubernetes.admit()
    kit.until(lambda: "starts on" in job.notes[-1], "its pod is being made")
    kubernetes.preempt()
    kubernetes.go.set()

    with pytest.raises(EngineFailedError) as error:
        trained.result(60)
    assert error.value.retryable and re.search("while it was suspended|before anybody saw how", str(error.value))

    again = begin(job)
    kit.until(lambda: kubernetes.jobs, "the new Job is there")
    kubernetes.admit()
    assert load(there, again.result(60).key, Adapter).metrics


@pytest.mark.s3
def test_a_cancel_in_the_queue_leaves_no_job(begin, kubernetes, job):
    kubernetes.queues = True
    trained = begin(job)
    until_queued(job, 1)
    job.cancel()

    with pytest.raises(JobCancelledError):
        trained.result(60)
    assert not kubernetes.jobs and not kubernetes.pods


@pytest.mark.s3
def test_gpu_seconds_are_counted_while_a_pod_runs(train, job):
    spent: list[float] = []
    began = time.monotonic()

    with charged_to(spent.append):
        train(job)

    assert 0 < sum(spent) <= time.monotonic() - began
