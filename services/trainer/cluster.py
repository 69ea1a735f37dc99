"""Training in pods of its own: for each training job Kubernetes runs a batch/v1 Job, made and followed here.

The pod runs services/trainer/pod.py, which trains just as the trainer itself would. This is the only file that imports
a Kubernetes client, and it holds nothing that is not in the cluster too: a trainer that was restarted, or another one
that took its job over, finds the Job again by its name.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx2
from lightkube import ApiError, Client, ConfigError
from lightkube.models import batch_v1 as batch
from lightkube.models import core_v1 as core
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.batch_v1 import Job
from lightkube.resources.core_v1 import Pod, PodTemplate
from lightkube.types import CascadeType
from pydantic import ValidationError

from services.trainer.checkpoints import adapter_of_run
from services.trainer.job import order_of, result_of
from services.trainer.plan import Device, Engine
from services.trainer.pod_order import HOPELESS, STOPPED, UNFORESEEN, PodOrder
from services.trainer.settings import Settings
from shared.engines import as_error
from shared.errors import (
    BadInputError,
    ConflictError,
    DiaryError,
    EngineFailedError,
    EngineRefusedError,
    JobCancelledError,
    MachineUnfitError,
    NoSpaceError,
    NotAllowedError,
    NotFoundError,
    OutOfMemoryError,
    ServiceUnavailableError,
)
from shared.gpu_time import spend
from shared.jobs import JobContext
from shared.patience import pause
from shared.schemas import Problem, Progress, TrainRequest, TrainResult
from shared.store import Store

log = logging.getLogger(__name__)

CONTAINER = "trainer"  # of the PodTemplate, the one that trains
ORDER = "TRAINER_ORDER"
OF_JOB = "batch.kubernetes.io/controller-uid"  # label that Kubernetes puts on a Job's pods
APP = "training"  # label app.kubernetes.io/name of Jobs and their pods
GPU = "nvidia.com/gpu"
QUEUE = "kueue.x-k8s.io/queue-name"  # label of a Job that Kueue suspends while its queue has no room
KILLED = 137  # by the kernel for its memory, or by the node for not having gone in time
UNKNOWN = "ContainerStatusUnknown"  # reason that the kubelet gives where a pod went before its container could run
RETRIES = 6  # pods after the first one, not counting those that the cluster itself took away
KEPT_S = 24 * 3600
START_TROUBLES = {
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
}
WAITING = "waiting for a GPU in the cluster"
IN_QUEUE = "waiting for a GPU in the cluster's queue"
UNSEEN = "waiting for the Kubernetes API"
POLL_S = 2.0
START_PATIENCE_S = 300.0
CANCEL_PATIENCE_S = 20.0
OVERLAP_S = 5  # clocks and connections are not exact: so much of the log is read twice, and told once
FIRST_LINES = 1000
REMEMBERED_LINES = 5000


def train_in_a_pod(
    request: TrainRequest, *, job: JobContext, store: Store, engine: Engine, cluster: Cluster
) -> TrainResult:
    """`job.train`, with the training itself in a pod of the cluster. What cannot be trained on never gets a pod.

    engine   for the base model and the device of the pods; it trains nothing
    """
    order = order_of(request, job, store, engine)
    adapter = adapter_of_run(store, order.request.show, order.run)
    if adapter is None:
        in_a_pod(order.request, job, cluster)
        adapter = adapter_of_run(store, order.request.show, order.run)
    if adapter is None:
        raise EngineRefusedError(
            f"the pod of run {order.run} of {order.request.show} has ended well, but left no adapter in the object "
            "store: see that trainer and training pods have the same S3_URL and S3_BUCKET"
        )
    return result_of(adapter)


def in_a_pod(request: TrainRequest, job: JobContext, cluster: Cluster) -> None:
    """Have the Job of this job run to its end; return when it has ended well.

    A cancel deletes it, and its pod saves a checkpoint on the way out. A worker that stops leaves it as it is. A Job
    that failed for a reason that passes is deleted, so that the next attempt makes a new one.
    """
    found = cluster.job(job_name(request.show, job.id)) or cluster.create(job_of(request, job, cluster.pod_template()))
    try:
        problem = Following(found, job, cluster).to_the_end()
    except JobCancelledError:
        end_job(request.show, job.id, cluster)
        raise
    if problem is not None:
        if problem.retryable:
            cluster.delete(meta_of(found).name or "")
        raise problem


def end_job(show: str, job_id: str, cluster: Cluster) -> None:
    """Delete the Job of a cancelled job, if there is one; an API that is away is asked again for a while."""
    name, until = job_name(show, job_id), time.monotonic() + cluster.cancel_patience_s
    while True:
        try:
            return cluster.delete(name)
        except ServiceUnavailableError as error:
            if time.monotonic() > until:
                log.error("the Job %s goes on, delete it with `kubectl delete job %s`: %s", name, name, error)
                raise
            time.sleep(cluster.poll_s)


def pod_device(settings: Settings) -> Device:
    """What training pods run on, as the operator says: datasets and estimates are made for that."""
    memory_gb, layers = settings.pod_gpu_memory_gb, settings.cpu_last_layers
    if settings.pod_gpus == 0:
        return Device(kind="cpu", name="a training pod's CPU", memory_gb=memory_gb, last_layers=layers)
    return Device(kind="cuda", name="a training pod's GPU", memory_gb=memory_gb, count=settings.pod_gpus)


# ---- the Job -------------------------------------------------------------------------------------------------------


def job_name(show: str, job_id: str) -> str:
    """The same for the same job, and a DNS label: at most 63 characters."""
    return f"train-{show[:36].rstrip('-')}-{digest_of(job_id)}"


def digest_of(job_id: str) -> str:
    return hashlib.sha256(job_id.encode()).hexdigest()[:12]


def job_of(request: TrainRequest, job: JobContext, template: PodTemplate) -> Job:
    """A Job of the template's pod, with the order in it.

    Pods that the cluster takes away (drained, preempted, evicted, suspended with their Job) are replaced without end,
    if they go in time: each goes on from the newest checkpoint. What no other pod would do better ends the Job at once.
    """
    labels = {
        "app.kubernetes.io/name": APP,
        "diary/job": digest_of(job.id),
        "diary/show": request.show,
    }
    notes = {"diary/job-id": job.id, "diary/actor": job.actor, "diary/trace-id": job.trace_id}
    order = PodOrder(job=job.id, kind=job.kind, actor=job.actor, trace_id=job.trace_id, request=request)
    return Job(
        metadata=ObjectMeta(
            name=job_name(request.show, job.id),
            labels={**(meta_of(template).labels or {}), **labels},
            annotations=notes,
        ),
        spec=batch.JobSpec(
            template=pod_of(order, template, labels, notes),
            completions=1,
            parallelism=1,
            backoffLimit=RETRIES,
            ttlSecondsAfterFinished=KEPT_S,
            podFailurePolicy=batch.PodFailurePolicy(
                rules=[
                    batch.PodFailurePolicyRule(
                        action="Ignore",
                        onPodConditions=[
                            batch.PodFailurePolicyOnPodConditionsPattern(type="DisruptionTarget", status="True")
                        ],
                    ),
                    batch.PodFailurePolicyRule(action="Ignore", onExitCodes=_one_of(STOPPED)),
                    batch.PodFailurePolicyRule(action="FailJob", onExitCodes=_one_of(UNFORESEEN, HOPELESS, KILLED)),
                ]
            ),
        ),
    )


def _one_of(*codes: int) -> batch.PodFailurePolicyOnExitCodesRequirement:
    return batch.PodFailurePolicyOnExitCodesRequirement(containerName=CONTAINER, operator="In", values=list(codes))


def pod_of(
    order: PodOrder, template: PodTemplate, labels: dict[str, str], notes: dict[str, str]
) -> core.PodTemplateSpec:
    """raises BadInputError for a template without our container"""
    pod = template.template
    containers = pod.spec.containers if pod and pod.spec else []
    container = next((one for one in containers if one.name == CONTAINER), None)
    if pod is None or pod.spec is None or container is None:
        raise BadInputError(
            f"the PodTemplate {meta_of(template).name} has no container named {CONTAINER}; apply the one of "
            "k8s/overlays/gpu-cluster"
        )
    others = [variable for variable in container.env or [] if variable.name != ORDER]
    container.env = [*others, core.EnvVar(name=ORDER, value=order.model_dump_json())]
    pod.spec.restartPolicy = "Never"
    meta = pod.metadata or ObjectMeta()
    meta.labels, meta.annotations = {**(meta.labels or {}), **labels}, {**(meta.annotations or {}), **notes}
    return core.PodTemplateSpec(metadata=meta, spec=pod.spec)


# ---- following it --------------------------------------------------------------------------------------------------


@dataclass
class Following:
    """A Job from now to its end: where its pods are is told to the job, what they say too.

    GPU seconds of running pods are charged to the job as they pass; what passes while nobody follows is not.
    """

    found: Job
    job: JobContext
    cluster: Cluster
    logs: dict[str, PodLog] = field(default_factory=dict)
    gone: dict[str, str] = field(default_factory=dict)
    stuck_since: dict[str, float] = field(default_factory=dict)

    def to_the_end(self) -> DiaryError | None:
        """Why it failed; None if it has ended well. An API that does not answer is borne: the pods go on without it.

        raises   ConflictError if somebody deletes the Job; JobCancelledError
        """
        gpus = 0
        while True:
            began = time.monotonic()
            self.job.check()
            try:
                now = self._look()
                pods = self.cluster.pods(now)
                for pod in pods:
                    self._relay_log(pod)
                if has(now.status.conditions if now.status else None, "Complete"):
                    return None
                if failed := has(now.status.conditions if now.status else None, "Failed"):
                    return failure_of(now, failed, pods, self.cluster.template)
                if problem := self._tell_waiting(now, pods):
                    self.cluster.delete(meta_of(now).name or "")
                    return problem
                gpus = sum(gpus_of(pod) for pod in pods if is_running(pod))
            except ServiceUnavailableError as error:
                self.job.progress(UNSEEN, note=str(error))
            pause(self.cluster.poll_s, self.job.check)
            spend((time.monotonic() - began) * gpus)

    def _look(self) -> Job:
        name = meta_of(self.found).name or ""
        now = self.cluster.job(name)
        if now is None or meta_of(now).uid != meta_of(self.found).uid:
            raise ConflictError(
                f"the Job {name} was deleted in the cluster while it trained; resume its run with `diary adapters "
                "train SHOW --resume RUN`"
            )
        return now

    def _relay_log(self, pod: Pod) -> None:
        name = meta_of(pod).name or ""
        known = self.logs.setdefault(name, PodLog(name, self.cluster))
        if not has_started(pod) or known.whole:
            return
        ended = ended_container(pod) is not None
        try:
            for line in known.fresh():
                relay(line, name, self.job)
            known.whole = ended
        except (ServiceUnavailableError, NotFoundError, BadInputError) as error:  # a node that is away, or gone
            log.info("the log of pod %s cannot be read now: %s", name, error)

    def _tell_waiting(self, now: Job, pods: Sequence[Pod]) -> DiaryError | None:
        """Say what a Job without a running pod waits for; give up on a pod that cannot start."""
        self._note_ends(pods)
        live = next((pod for pod in reversed(pods) if not why_over(pod)), None)
        if live is not None and has_started(live):
            return None
        trouble = start_trouble(live) if live else ""
        told = trouble or (what_it_waits_for(live) if live else why_no_pod(now))
        before = [
            f"{name} is over ({why}); training goes on from its newest checkpoint" for name, why in self.gone.items()
        ]
        stage = "a training pod does not start" if trouble else IN_QUEUE if is_queued(now) else WAITING
        self.job.progress(stage, note="; ".join([told, *before[-1:]]))
        return self._given_up(live, trouble) if live and trouble else None

    def _note_ends(self, pods: Sequence[Pod]) -> None:
        """Remember, and log once, which pods ended early, and which were taken away before we saw why."""
        there = {meta_of(pod).name or "": why_over(pod) for pod in pods}
        for name in self.logs:
            why = there.get(name, "the cluster took it away")
            if why and name not in self.gone:
                self.gone[name] = why
                log.warning("training pod %s is over: %s", name, why)

    def _given_up(self, pod: Pod, trouble: str) -> DiaryError | None:
        name = meta_of(pod).name or ""
        since = self.stuck_since.setdefault(name, time.monotonic())
        if time.monotonic() - since < self.cluster.start_patience_s:
            return None
        return EngineRefusedError(
            f"the training pod {name} cannot start: {trouble}. Correct the image or the references of the PodTemplate "
            f"{self.cluster.template}, then try the job again"
        )


class PodLog:
    """A container's log, each line once, by asking again and again for the lines since the last answer.

    An answer that breaks off counts for nothing: its time is asked for again. Lines are told apart by the nanosecond at
    which they were written.
    """

    def __init__(self, pod: str, cluster: Cluster) -> None:
        self.whole = False
        self._pod, self._cluster = pod, cluster
        self._asked_at: float | None = None
        self._seen: dict[str, None] = {}

    def fresh(self) -> Iterator[str]:
        asked_at = time.monotonic()
        since_s = None if self._asked_at is None else int(asked_at - self._asked_at) + OVERLAP_S
        lines = self._cluster.log(self._pod, since_s)
        self._asked_at = asked_at
        for line in lines:
            if line not in self._seen:
                self._seen[line] = None
                if len(self._seen) > REMEMBERED_LINES:
                    self._seen.pop(next(iter(self._seen)))
                yield line.partition(" ")[2]


def relay(line: str, pod: str, job: JobContext) -> None:
    """Progress of the pod's program is the job's; its log, and whatever libraries print, goes into ours."""
    try:
        told = json.loads(line)
        if isinstance(told, dict) and "progress" in told:
            now = Progress.model_validate(told["progress"])
            return job.progress(now.stage, now.done, now.total, now.unit, now.note, now.figures)
    except (json.JSONDecodeError, ValidationError):
        told = None
    if isinstance(told, dict) and isinstance(told.get("message"), str):
        level = logging.getLevelNamesMapping().get(str(told.get("level")).upper(), logging.INFO)
        more = {"exception_there": told["exception"]} if "exception" in told else {}
        return log.log(level, "%s", told["message"], extra={"pod": pod, **more})
    log.info("%s", line, extra={"pod": pod})


# ---- reading what Kubernetes says ----------------------------------------------------------------------------------


def meta_of(thing: Job | Pod | PodTemplate) -> ObjectMeta:
    return thing.metadata or ObjectMeta()


def has(
    conditions: Sequence[batch.JobCondition] | Sequence[core.PodCondition] | None, kind: str
) -> batch.JobCondition | core.PodCondition | None:
    """The condition of a Job or pod, where it holds."""
    return next((one for one in conditions or () if one.type == kind and one.status == "True"), None)


def disruption_of(pod: Pod) -> core.PodCondition | None:
    """Why the cluster takes the pod away: a drain, a preemption, an eviction."""
    found = has(pod.status.conditions if pod.status else None, "DisruptionTarget")
    return found if isinstance(found, core.PodCondition) else None


def container_state(pod: Pod) -> core.ContainerState:
    statuses = (pod.status.containerStatuses if pod.status else None) or []
    own = next((one for one in statuses if one.name == CONTAINER), None)
    return (own.state if own else None) or core.ContainerState()


def ended_container(pod: Pod) -> core.ContainerStateTerminated | None:
    return container_state(pod).terminated


def has_started(pod: Pod) -> bool:
    state = container_state(pod)
    return state.running is not None or state.terminated is not None


def is_running(pod: Pod) -> bool:
    return container_state(pod).running is not None


def gpus_of(pod: Pod) -> int:
    containers = pod.spec.containers if pod.spec else []
    return sum(int((one.resources.limits or {}).get(GPU, 0)) for one in containers if one.resources)


def memory_limit_of(pod: Pod) -> str:
    containers = pod.spec.containers if pod.spec else []
    own = next((one for one in containers if one.name == CONTAINER), None)
    limits = (own.resources.limits if own and own.resources else None) or {}
    return str(limits.get("memory", "no limit of its own"))


def what_it_waits_for(pod: Pod) -> str:
    """Of a pod that has not started: what the scheduler, or the node, says."""
    conditions = (pod.status.conditions if pod.status else None) or []
    refused = next((one for one in conditions if one.type == "PodScheduled" and one.status != "True"), None)
    if refused is not None:
        return f"{refused.reason}: {refused.message}"
    waiting = container_state(pod).waiting
    node = pod.spec.nodeName if pod.spec else None
    return f"pod {meta_of(pod).name} starts on {node or 'a node'}{f' ({waiting.reason})' if waiting else ''}"


def is_suspended(job: Job) -> bool:
    return bool(job.spec and job.spec.suspend) or bool(has(job.status.conditions if job.status else None, "Suspended"))


def queue_of(job: Job) -> str:
    return (meta_of(job).labels or {}).get(QUEUE, "")


def is_queued(job: Job) -> bool:
    """Whether it waits for its turn in a queue: it has not begun, or was preempted."""
    return is_suspended(job) and bool(queue_of(job))


def why_no_pod(job: Job) -> str:
    name = meta_of(job).name
    if is_queued(job):
        return f"the Job {name} is in the queue {queue_of(job)}; `kubectl describe workloads` says what it waits for"
    if is_suspended(job):
        return f"the Job is suspended; `kubectl describe job {name}` says by whom"
    return f"the Job {name} has no pod yet; `kubectl describe job {name}` says why, should it stay so"


def start_trouble(pod: Pod) -> str:
    """What keeps a pod from starting that waiting does not cure."""
    waiting = container_state(pod).waiting
    if waiting is None or waiting.reason not in START_TROUBLES:
        return ""
    return f"{waiting.reason}: {waiting.message}"


def why_over(pod: Pod) -> str:
    """In words, how a pod ended that did not end well; empty for all others."""
    if disruption := disruption_of(pod):
        return f"{disruption.reason}: {disruption.message}"
    problem = problem_of_pod(pod, "")
    return str(problem) if problem else ""


def failure_of(
    job: Job, condition: batch.JobCondition | core.PodCondition, pods: Sequence[Pod], template: str
) -> DiaryError:
    """Why a Job failed: what its last pod says of itself, or else the Job."""
    for pod in reversed(pods):
        problem = None if disruption_of(pod) else problem_of_pod(pod, template)
        if problem:
            return problem
    name = meta_of(job).name
    how = f"{condition.reason}: {condition.message}"
    if is_suspended(job):  # another Job takes its turn in the queue; what was wrong with a pod of this one comes again
        return EngineFailedError(
            f"the Job {name} failed while it was suspended, and its pods are gone ({how}); if this comes again: "
            f"{late_advice(template)}"
        )
    return EngineRefusedError(f"the Job {name} failed in the cluster: {how}; `kubectl describe job {name}` says more")


def problem_of_pod(pod: Pod, template: str) -> DiaryError | None:
    """What went wrong in a pod that has ended, as the error that it would be in the trainer; None if nothing did."""
    name, ended = meta_of(pod).name, ended_container(pod)
    if pod.status and pod.status.phase == "Failed" and pod.status.reason == "Evicted":
        return NoSpaceError(
            f"the training pod {name} used more disk than it may: {pod.status.message}; raise the limit in the "
            f"PodTemplate {template}"
        )
    if ended is None or ended.exitCode == 0:
        return None
    if ended.reason == UNKNOWN:
        return EngineFailedError(f"the training pod {name} was taken away before anybody saw how it ended")
    if ended.exitCode == KILLED and ended.reason != "OOMKilled" and meta_of(pod).deletionTimestamp:
        return EngineFailedError(f"the training pod {name} did not go in time: {late_advice(template)}")
    if ended.reason == "OOMKilled" or ended.exitCode == KILLED:
        return OutOfMemoryError(
            f"the training pod {name} was killed for its memory ({memory_limit_of(pod)}); raise "
            f"resources.limits.memory in the PodTemplate {template}, or build the dataset with shorter examples"
        )
    if (problem := told_problem(ended.message)) is not None:
        return as_error({"kind": f"{problem.title}Error", "message": problem.detail})
    if ended.exitCode == STOPPED:
        return EngineFailedError(f"the training pod {name} was told to go")
    how = f"the training pod {name} ended with exit code {ended.exitCode} ({ended.reason})"
    if ended.exitCode == UNFORESEEN:
        return EngineRefusedError(f"{how}, which nobody foresaw; the trainer's log has its last lines")
    return EngineFailedError(f"{how}; the trainer's log has its last lines")


def late_advice(template: str) -> str:
    return f"terminationGracePeriodSeconds in the PodTemplate {template} must be well above TRAINER_STOP_GRACE_S"


def told_problem(message: str | None) -> Problem | None:
    """The problem in a termination message; None where there is another text, or none."""
    try:
        return Problem.model_validate_json(message or "")
    except ValidationError:
        return None


# ---- the API -------------------------------------------------------------------------------------------------------


class Cluster:
    """The part of the Kubernetes API that training needs, in the trainer's own namespace.

    template   name of the PodTemplate of training pods
    raises     ServiceUnavailableError while the API does not answer; NotAllowedError for what the trainer may not do;
               BadInputError for what it refuses
    """

    def __init__(
        self,
        client: Client,
        template: str,
        *,
        poll_s: float = POLL_S,
        start_patience_s: float = START_PATIENCE_S,
        cancel_patience_s: float = CANCEL_PATIENCE_S,
    ) -> None:
        self.template = template
        self.poll_s, self.start_patience_s, self.cancel_patience_s = poll_s, start_patience_s, cancel_patience_s
        self._client = client

    @property
    def namespace(self) -> str:
        return str(self._client.namespace)

    @classmethod
    def from_environment(cls, template: str) -> Cluster:
        """Of the pod that we run in; elsewhere, what KUBECONFIG names. raises MachineUnfitError if there is none"""
        logging.getLogger("httpx2").setLevel(logging.WARNING)  # a line per request
        try:
            return cls(Client(), template)
        except ConfigError as error:
            raise MachineUnfitError(
                f"TRAINER_POD_TEMPLATE is set, but no Kubernetes API is known here ({error}): give the trainer's pod a "
                "service account with its token mounted, or unset it"
            ) from error

    def job(self, name: str) -> Job | None:
        try:
            with _explained():
                return self._client.get(Job, name)
        except NotFoundError:
            return None

    def create(self, job: Job) -> Job:
        """The Job as it is in the cluster; the one that is there already, if another worker was faster."""
        try:
            with _explained():
                return self._client.create(job)
        except ConflictError:
            found = self.job(meta_of(job).name or "")
            if found is None:
                raise
            return found

    def delete(self, name: str) -> None:
        """Delete a Job. Its pods are told to end, and are waited for by nobody."""
        try:
            with _explained():
                self._client.delete(Job, name, cascade=CascadeType.BACKGROUND)
        except NotFoundError:
            log.info("the Job %s was gone already", name)

    def pod_template(self) -> PodTemplate:
        try:
            with _explained():
                return self._client.get(PodTemplate, self.template)
        except NotFoundError as error:
            raise NotFoundError(
                f"namespace {self.namespace} has no PodTemplate {self.template}, which TRAINER_POD_TEMPLATE "
                "names; apply k8s/overlays/gpu-cluster, or unset it"
            ) from error

    def pods(self, job: Job) -> list[Pod]:
        """All pods of a Job that are known, oldest first."""
        uid = meta_of(job).uid or ""
        with _explained():
            found = list(self._client.list(Pod, namespace=self.namespace, labels={OF_JOB: uid}))
        return sorted(found, key=lambda pod: meta_of(pod).creationTimestamp or datetime.min.replace(tzinfo=UTC))

    def log(self, pod: str, since_s: int | None) -> list[str]:
        """Lines of the last seconds, each with its time; the last lines if nothing is said."""
        limit = FIRST_LINES if since_s is None else None
        with _explained():
            lines = self._client.log(
                pod, container=CONTAINER, since=since_s, tail_lines=limit, timestamps=True, newlines=False
            )
            return list(lines)


@contextmanager
def _explained() -> Iterator[None]:
    """What the Kubernetes API refuses, and that it does not answer, as errors of ours."""
    try:
        yield
    except ApiError as error:
        raise _as_ours(error) from error
    except httpx2.HTTPError as error:
        raise ServiceUnavailableError(
            f"the Kubernetes API does not answer, or broke off ({type(error).__name__}); the pod goes on meanwhile"
        ) from error


def _as_ours(error: ApiError) -> DiaryError:
    code, message = error.status.code or 500, error.status.message or "no reason given"
    if code == 401:
        return NotAllowedError(
            f"the Kubernetes API does not know the trainer ({message}): have its service account's token mounted, or "
            "log in anew"
        )
    if code == 403:
        return NotAllowedError(
            f"the cluster forbids it: {message}. Where a right is missing, bind the Role `trainer` of "
            "k8s/overlays/gpu-cluster to the trainer's service account; where it is a quota, have it raised"
        )
    if code == 404:
        return NotFoundError(message)
    if code == 409:
        return ConflictError(message)
    if code == 429 or code >= 500:
        return ServiceUnavailableError(
            f"the Kubernetes API does not manage ({code}: {message}); the pod goes on meanwhile"
        )
    return BadInputError(f"the cluster refuses it: {message}")
