"""The containers, built, started and used for real: `make test-compose-light`, `make test-compose`.

light   lint, S3 + studio + ingest: built, up, healthy, closed, one real recording, down
full    all images; the demo through compose; a restart in the middle of a job; engines in turns; down and up with the
        data intact; export into a second stack

Each run has a project name, secrets and a port of its own, and leaves nothing behind but images. Where no image
registry answers, the base images of .ci/bases are used. The last lines are seconds per step and MB per image.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from examples import demo
from services.studio.machine.env import prepare
from services.studio.machine.local import ROOT
from shared.client import ServiceClient
from shared.schemas import Job
from tests.conftest import free_port_base

OURS = ("studio", "ingest", "transcription", "trainer", "inference")
WITH_ENGINES = ("transcription", "trainer", "inference")
FILES = ("compose.yaml", "compose.cpu.yaml")
VERSION = "test"
FREE_GB = {"light": 8, "full": 25}
UP_S = 600
CANNOT_HERE = 77  # of .ci/bases


class UnfitError(Exception):
    """This machine cannot run the containers; the text says why."""


# ---- the bench: steps with their seconds ---------------------------------------------------------------------------


@dataclass
class Bench:
    """What was done, and how long it took."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        print(f"--- {name}", flush=True)
        began = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - began

    def table(self, images: Mapping[str, float]) -> str:
        steps = [f"| {name} | {seconds:.0f} |" for name, seconds in self.seconds.items()]
        sizes = [f"| {name} | {megabytes:.0f} |" for name, megabytes in images.items()]
        ruler = "| --- | ---: |"
        return "\n".join(["| step | seconds |", ruler, *steps, "", "| image | MB |", ruler, *sizes])


# ---- a stack of containers -----------------------------------------------------------------------------------------


def docker(*arguments: str, check: bool = True) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise AssertionError(f"docker {' '.join(arguments)}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def compose_program() -> list[str]:
    """Docker's own plugin, else the one from the development environment."""
    own = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    return ["docker", "compose"] if own.returncode == 0 else [str(Path(sys.executable).with_name("docker-compose"))]


@dataclass
class Composed:
    """One stack under a project name, with secrets and settings in a folder of its own.

    name        of the project
    home        folder of secrets and .env
    settings    variables for compose beside those every run needs
    files       compose files, in the order in which they are laid over each other
    """

    name: str
    home: Path
    settings: Mapping[str, str]
    files: Sequence[str]
    port: int = field(default_factory=free_port_base)

    def __post_init__(self) -> None:
        shutil.copy(ROOT / ".env.example", self.home)
        prepare(self.home)
        self._program = compose_program()

    def __call__(self, *arguments: str, check: bool = True) -> str:
        files = [part for name in self.files for part in ("--file", str(ROOT / name))]
        command = [*self._program, "--project-name", self.name, "--env-file", str(self.home / ".env"), *files]
        done = subprocess.run(
            [*command, *arguments], cwd=ROOT, env=self._environment(), capture_output=True, text=True, check=False
        )
        if check and done.returncode:
            raise AssertionError(f"compose {' '.join(arguments)}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        return done.stdout

    def _environment(self) -> dict[str, str]:
        own = {
            "SECRETS": str(self.home / "secrets"),
            "ENV_FILE": str(self.home / ".env"),
            "DIARY_PORT": str(self.port),
            "IMAGE_PREFIX": "diary-test",
            "VERSION": VERSION,
            "HF_HUB_OFFLINE": "1",
        }
        return {**os.environ, **own, **self.settings}

    def up(self, *services: str) -> None:
        """Start and wait until all are healthy; with services named, only those."""
        alone = ("--no-deps",) if services else ()
        self("up", "--detach", "--wait", "--wait-timeout", str(UP_S), *alone, *services)

    def down(self, *, volumes: bool = False) -> None:
        self("down", "--timeout", "20", *(["--volumes"] if volumes else []))

    def client(self) -> ServiceClient:
        token = (self.home / "secrets" / "admin_token").read_text()
        return ServiceClient("studio", f"http://127.0.0.1:{self.port}", token)

    def containers(self) -> dict[str, dict[str, Any]]:
        """What the engine says of each running container, by service."""
        names = self("ps", "--quiet").split()
        found = json.loads(docker("inspect", *names))
        return {one["Config"]["Labels"]["com.docker.compose.service"]: one for one in found}

    def inside(self, service: str, *command: str) -> str:
        return self("exec", "--no-TTY", service, *command, check=False).strip()

    def logs(self) -> str:
        """The end of what each container said, and of what its engine did."""
        tails = "for file in /state/logs/*.log; do echo == $file; tail -n 40 $file; done"
        engines = [self.inside(name, "sh", "-c", tails) for name in WITH_ENGINES if name in self.containers()]
        return "\n".join([self("logs", "--no-color", "--tail", "30", check=False), *engines])


@contextmanager
def composed(home: Path, settings: Mapping[str, str], files: Sequence[str]) -> Iterator[Composed]:
    """A stack that is gone afterwards; if something fails its logs are printed."""
    home.mkdir()
    stack = Composed(f"diary-{home.name}-{secrets.token_hex(3)}", home, settings, files)
    try:
        yield stack
    except BaseException:
        print(stack.logs())
        raise
    finally:
        stack.down(volumes=True)


# ---- what holds for every stack ------------------------------------------------------------------------------------


def demand_closed(stack: Composed) -> None:
    """No root among ours, only volumes can be written, no capability is left, only studio has a port, on loopback."""
    for service, about in stack.containers().items():
        host = about["HostConfig"]
        assert host["ReadonlyRootfs"], f"{service} has a writable root"
        assert host["CapDrop"] == ["ALL"] and not host["CapAdd"], f"{service} keeps capabilities"
        assert "no-new-privileges:true" in host["SecurityOpt"], service
        bindings = [one for ports in about["NetworkSettings"]["Ports"].values() for one in ports or []]
        published = [(one["HostIp"], one["HostPort"]) for one in bindings]
        assert published == ([("127.0.0.1", str(stack.port))] if service == "studio" else []), (service, published)
        if service in OURS:
            demand_powerless(stack, service)


def demand_powerless(stack: Composed, service: str) -> None:
    """Seen from inside."""
    script = "id -u; id -g; grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/1/status | cut -f2; touch /app/x /etc/x 2>&1"
    uid, gid, effective, bounding, no_new, *refused = stack.inside(service, "sh", "-c", script).splitlines()
    assert (uid, gid) == ("2000", "0"), (service, uid, gid)
    assert int(effective, 16) == int(bounding, 16) == 0 and no_new == "1", service
    assert len(refused) == 2 and all("Read-only file system" in line for line in refused), (service, refused)


def demand_token(stack: Composed) -> None:
    """The door is shut without a token, and the `diary` command inside finds its own."""
    answer = httpx.get(f"http://127.0.0.1:{stack.port}/v1/shows")
    assert answer.status_code == 401, answer.text
    assert json.loads(stack.inside("studio", "diary", "shows", "list", "--json")) == []


def demand_no_secret_in_sight(stack: Composed) -> None:
    """No secret in what the engine shows of a container, nor in any log."""
    shown = json.dumps(stack.containers()) + stack("logs", "--no-color")
    for file in (stack.home / "secrets").iterdir():
        secret = file.read_text().strip()
        assert file.name == "tokens.json" or not secret or secret not in shown, f"{file.name} can be seen"


# ---- light ---------------------------------------------------------------------------------------------------------


def light(bench: Bench, home: Path, settings: Mapping[str, str], files: Sequence[str]) -> None:
    with composed(home / "light", settings, files) as stack:
        with bench.step("config and lint"):
            subprocess.run([sys.executable, "-m", "pytest", "-q", "tests/test_compose_files.py"], cwd=ROOT, check=True)
        for service in ("studio", "ingest"):
            with bench.step(f"build {service}"):
                stack("build", service)
        with bench.step("up: S3, studio, ingest"):
            stack.up("minio", "ingest", "studio")
        with bench.step("closed, and a recording comes in"):
            demand_closed(stack)
            demand_token(stack)
            bring_one(stack.client())
            demand_no_secret_in_sight(stack)
        with bench.step("down, an image lost, up: it is built again and the recording is still there"):
            stack.down()
            docker("image", "rm", f"diary-test/ingest:{VERSION}-cpu")
            stack.up("minio", "ingest", "studio")
            listed = stack.client().call("GET", "/v1/shows/lamplight/recordings").json()
            assert len(listed) == 1, listed


def bring_one(client: ServiceClient) -> None:
    """A published transcript through upload, studio, ingest and the store."""
    client.call("POST", "/v1/shows", json=json.loads((ROOT / "examples" / "show.json").read_text()))
    source = demo.upload(client, sorted((ROOT / "examples" / "published").glob("*.*"))[0])
    done = client.wait(client.submit("/v1/recordings", {"show": "lamplight", **source}))
    assert client.result(done)["new"], done


# ---- full ----------------------------------------------------------------------------------------------------------


def full(bench: Bench, home: Path, settings: Mapping[str, str], files: Sequence[str]) -> None:
    with composed(home / "full", settings, files) as stack:
        for service in OURS:
            with bench.step(f"build {service}"):
                stack("build", service)
        with bench.step("up, all healthy"):
            stack.up()
        with bench.step("closed"):
            demand_closed(stack)
            demand_token(stack)
        with bench.step("speak the interviews"):
            spoken = demo.speak(demo.HOME / "spoken")
        with bench.step("the demo through compose"):
            summary = demo.story(stack.client(), spoken, demo.Stopwatch())
        with bench.step("trainer restarted in the middle of its job"):
            restart_while_training(stack, summary)
        with bench.step("training and writing ordered at once: engines in turns"):
            engines_in_turns(stack)
        with bench.step("down and up, data intact"):
            before = export(stack.client(), home / "before.tar")
            stack.down()
            stack.up()
            assert export(stack.client(), home / "after.tar") == before
            demand_no_secret_in_sight(stack)
        with bench.step("export into a second stack"):
            move(home, stack, settings, files)
    print(json.dumps(summary))


def dataset_of(client: ServiceClient) -> str:
    return client.call("GET", "/v1/shows/lamplight/datasets").json()[-1]["id"]


def restart_while_training(stack: Composed, summary: Mapping[str, Any]) -> None:
    client = stack.client()
    order = {"show": "lamplight", "dataset": dataset_of(client), "steps": 6, "checkpoint_every": 2}
    job = client.submit("/v1/adapters", order)
    until_training(client, job)
    stack("restart", "--timeout", "20", "trainer")
    adapter = client.result(client.wait(job))["adapter"]
    assert adapter != summary["adapter"]


def until_training(client: ServiceClient, job: Job) -> None:
    """Wait until the first step is done."""
    until = time.monotonic() + 300
    while not ((progress := client.job(job.id).progress) and progress.stage.endswith("training") and progress.done):
        assert time.monotonic() < until, f"never trained: {client.job(job.id)}"
        time.sleep(0.5)


def engines_in_turns(stack: Composed) -> None:
    """Two services want the device at once; both finish, and their engines are never alive together."""
    client = stack.client()
    train = {"show": "lamplight", "dataset": dataset_of(client), "steps": 4, "checkpoint_every": 2}
    write = {"show": "lamplight", "guest": "Tom Reed", "words": 60, "adapter": "base"}
    with EngineWatch(stack) as watch:
        jobs = [client.submit("/v1/adapters", train), client.submit("/v1/episodes", write)]
        for job in jobs:
            client.result(client.wait(job))
    assert watch.seen == {"trainer", "inference"}, f"only {watch.seen} ran an engine"
    assert not watch.together, f"engines were alive together: {watch.together}"


class EngineWatch:
    """Looks at which services run an engine, twice in a row: together are those that were alive both times."""

    def __init__(self, stack: Composed) -> None:
        networks = {name: stack.containers()[name]["NetworkSettings"]["Networks"] for name in WITH_ENGINES}
        self._urls = {
            name: f"http://{next(iter(found.values()))['IPAddress']}:8080/health/live"
            for name, found in networks.items()
        }
        self.seen: set[str] = set()
        self.together: list[set[str]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> EngineWatch:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(0.3):
            first, second = self._alive(), self._alive()
            both = {name for name, engines in first.items() if second.get(name) == engines}
            self.seen |= both
            if len(both) > 1:
                self.together.append(both)

    def _alive(self) -> dict[str, Any]:
        found = {name: httpx.get(url, timeout=5.0).json()["engines"] for name, url in self._urls.items()}
        return {name: engines for name, engines in found.items() if engines}


def export(client: ServiceClient, path: Path) -> str:
    """A show's whole export in a file; returns its sha256."""
    with path.open("wb") as file:
        for chunk in client.stream("GET", "/v1/shows/lamplight/export"):
            file.write(chunk)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def move(home: Path, stack: Composed, settings: Mapping[str, str], files: Sequence[str]) -> None:
    """What the first stack exports, a second one imports, and exports again: the same to the last byte."""
    taken = export(stack.client(), home / "moved.tar")
    stack.down()
    with composed(home / "second", settings, files) as second:
        second.up("minio", "ingest", "studio")
        with (home / "moved.tar").open("rb") as file:
            second.client().call("POST", "/v1/imports", content=iter(lambda: file.read(1 << 20), b""), timeout=600)
        assert export(second.client(), home / "again.tar") == taken


# ---- images and the run --------------------------------------------------------------------------------------------


def image_sizes() -> dict[str, float]:
    lines = docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split()
    names = sorted(line for line in lines if line.startswith("diary-test/") and line.endswith(f":{VERSION}-cpu"))
    return {name: json.loads(docker("image", "inspect", name))[0]["Size"] / 1e6 for name in names}


def ingredients() -> tuple[dict[str, str], tuple[str, ...]]:
    """Settings and compose files: the public images where a registry answers, else bases made on this machine.

    raises   UnfitError if neither can be had
    """
    pinned = next(line for line in (ROOT / "compose.cpu.yaml").read_text().splitlines() if "CPU_BASE_IMAGE" in line)
    public = pinned.split(":-", 1)[1].rstrip("} ")
    pulled = subprocess.run(["docker", "pull", public], capture_output=True, check=False).returncode == 0
    if pulled or os.environ.get("CPU_BASE_IMAGE"):
        return {}, FILES
    print("no image registry answers: base images are made here from packages", flush=True)
    made = subprocess.run([str(ROOT / ".ci" / "bases")], stderr=subprocess.PIPE, text=True, check=False)
    if made.returncode == CANNOT_HERE:
        raise UnfitError(f"no image registry answers, and {made.stderr.strip()}")
    assert made.returncode == 0, made.stderr
    own = {"CPU_BASE_IMAGE": "local/ci-base:1", "UV_TORCH_BACKEND": "", "S3_IMAGE": "local/ci-s3:1"}
    return {name: os.environ.get(name, value) for name, value in own.items()}, (*FILES, ".ci/compose.ci.yaml")


def main(arguments: Sequence[str]) -> int:
    kind = arguments[0] if arguments else ""
    if kind not in FREE_GB:
        print("usage: python -m tests.containers light|full", file=sys.stderr)
        return 2
    free_gb = shutil.disk_usage(docker("info", "--format", "{{.DockerRootDir}}").strip()).free / 1e9
    if free_gb < FREE_GB[kind]:
        print(f"SKIPPED: {free_gb:.0f} GB free where Docker keeps its images; {FREE_GB[kind]} are needed")
        return 0
    bench = Bench()
    try:
        with bench.step("base images"):
            settings, files = ingredients()
    except UnfitError as reason:
        print(f"SKIPPED: {reason}")
        return 0
    with tempfile.TemporaryDirectory() as home:
        (light if kind == "light" else full)(bench, Path(home), settings, files)
    print(bench.table(image_sizes()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
