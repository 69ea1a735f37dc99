"""The local runner: S3 server and services as processes on loopback. `make up`, `make down`; restart safe.

Everything lives under one folder (`.run`): secrets, job state, objects, work files, logs, process ids. Ports follow
STUDIO_PORT (8765): ingest +1, transcription +2, trainer +3, inference +4, S3 +5, the S3 server's inner ports +6 to +12.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx

from services.studio.machine import policies
from services.studio.machine.policies import KeyPair
from services.studio.machine.processes import STOP_GRACE_S, Program
from shared.errors import DiaryError, EngineFailedError, NotFoundError
from shared.tokens import Role, TokenBook, new_token

ROOT = Path(__file__).resolve().parents[3]
SERVICES = ("ingest", "transcription", "trainer", "inference", "studio")
HEALTH_TIMEOUT_S = 90.0
TRAINER_STOP_GRACE_S = 120.0  # it may save a checkpoint first; as in compose.yaml
DEFAULT_PORT = 8765
BUCKET = "diary"
BASE_MODEL = ROOT / ".run" / "models" / "base"

PythonOf = Callable[[str], Path]


def venv_python(name: str) -> Path:
    return ROOT / ".venvs" / name / "bin" / "python"


@dataclass
class Stack:
    """The whole product on one machine.

    home        folder for everything that is written
    port        studio's; the others follow
    python_of   interpreter of each service
    settings    extra environment of all services, e.g. {"TRAINER_DEVICE": "cpu"}
    base_model  folder of the base model (made by `prepare_base_model`)
    """

    home: Path
    port: int = DEFAULT_PORT
    python_of: PythonOf = venv_python
    settings: Mapping[str, str] = field(default_factory=dict)
    base_model: Path = BASE_MODEL

    def up(self, say: Callable[[str], None] = lambda line: None) -> None:
        """Start what does not run yet and wait until all are healthy; on a failure the log's end is shown."""
        self.home.mkdir(parents=True, exist_ok=True)
        for program in self.programs():
            program.demand_ports()
        for program in self.programs():
            already = program.pid() is not None
            program.start(ROOT)
            if program.name == "s3":
                self.wait_healthy("s3")
            say(f"{program.name:14} {'runs already' if already else 'started'}")
        for name in SERVICES:
            self.wait_healthy(name)

    def down(self) -> list[str]:
        """Stop everything that `up` started, studio first; returns the names of what ran."""
        return [program.name for program in reversed(self.programs()) if program.stop()]

    def start(self, name: str) -> None:
        self.program(name).start(ROOT)

    def program(self, name: str) -> Program:
        return next(program for program in self.programs() if program.name == name)

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port_of(name)}"

    def port_of(self, name: str) -> int:
        offsets = {"studio": 0, "ingest": 1, "transcription": 2, "trainer": 3, "inference": 4, "s3": 5}
        return self.port + offsets[name]

    def wait_healthy(self, name: str, timeout_s: float = HEALTH_TIMEOUT_S) -> None:
        program = self.program(name)
        until = time.monotonic() + timeout_s
        while not _answers(program.health):
            if program.pid() is None or time.monotonic() > until:
                raise EngineFailedError(
                    f"{name} did not come up; the end of {program.log_file}:\n{program.last_lines()}"
                )
            time.sleep(0.1)

    def admin_token(self) -> str:
        path = self.home / "secrets" / "admin.token"
        try:
            return path.read_text().strip()
        except FileNotFoundError as error:
            raise NotFoundError("there is no admin token yet; `make up` makes one") from error

    # ---- programs --------------------------------------------------------------------------------------------------

    def programs(self) -> list[Program]:
        return [self._s3(), *(self._service(name) for name in SERVICES)]

    def _service(self, name: str) -> Program:
        python = self.python_of(name)
        if not python.exists():
            raise NotFoundError(f"{name} has no environment at {python}; run `make install`")
        return self._program(
            name,
            [str(python), "-m", f"services.{name}.app"],
            self._environment(name),
            [self.port_of(name)],
            self.url(name) + "/health/ready",
        )

    def _environment(self, name: str) -> dict[str, str]:
        prefix, home = name.upper(), self.home.absolute()
        pair = self._s3_pairs()[name]
        shared = {
            "S3_URL": self.url("s3"),
            "S3_BUCKET": BUCKET,
            "S3_ACCESS_KEY": pair.access,
            "S3_SECRET_KEY": pair.secret,
            f"{prefix}_PORT": str(self.port_of(name)),
            f"{prefix}_STATE_DIR": str(home / "state"),
            f"{prefix}_WORK_DIR": str(home / "work"),
            f"{prefix}_LOG_DIR": str(home / "logs"),
            f"{prefix}_TOKENS_FILE": str(home / "secrets" / "tokens.json"),
            f"{prefix}_LEASE_DIR": str(home / "lease"),
            "DIARY_MODELS_DIR": os.environ.get("DIARY_MODELS_DIR", str(self.base_model.absolute().parent)),
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
        }
        if name == "studio":
            shared |= {f"STUDIO_{other.upper()}_URL": self.url(other) for other in SERVICES if other != "studio"}
            shared["STUDIO_SERVICE_TOKEN"] = self._service_token()
        if name in ("trainer", "inference"):
            name_of_setting = f"{prefix}_BASE_MODEL"
            shared[name_of_setting] = os.environ.get(name_of_setting, str(self.base_model))
        if name == "inference":
            shared["INFERENCE_ADAPTER_DIR"] = str(home / "adapters")
        return {**shared, **self.settings}

    def _s3(self) -> Program:
        master, volume, filer, grpc = (self.port + offset for offset in (6, 7, 8, 9))
        port = self.port_of("s3")
        objects = self.home.absolute() / "objects"
        objects.mkdir(parents=True, exist_ok=True)
        command = [
            str(self.python_of("studio").parent / "weed"),
            "server",
            f"-dir={objects}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            f"-master.port={master}",
            f"-master.port.grpc={grpc}",
            "-master.volumeSizeLimitMB=256",
            "-master.garbageThreshold=0.01",  # what is deleted leaves the disk within a quarter of an hour
            f"-volume.port={volume}",
            f"-volume.port.grpc={grpc + 1}",
            "-volume.max=4000",  # of 256 MB each, made as they fill
            "-volume.minFreeSpacePercent=1",
            "-volume.preStopSeconds=0",
            "-filer",
            f"-filer.port={filer}",
            f"-filer.port.grpc={grpc + 2}",
            "-s3",
            f"-s3.port={port}",
            f"-s3.port.grpc={grpc + 3}",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            f"-s3.config={self._s3_config()}",
        ]
        ports = [port, master, volume, filer, grpc, grpc + 1, grpc + 2, grpc + 3]
        return self._program("s3", command, {}, ports, f"http://127.0.0.1:{port}/status")

    def _program(
        self, name: str, command: list[str], environment: dict[str, str], ports: list[int], health: str
    ) -> Program:
        return Program(
            name,
            command,
            environment,
            ports,
            health,
            log_file=self.home / "logs" / f"{name}.log",
            pid_file=self.home / "pids" / f"{name}.json",
            stop_grace_s=TRAINER_STOP_GRACE_S if name == "trainer" else STOP_GRACE_S,
        )

    # ---- secrets ---------------------------------------------------------------------------------------------------

    def _s3_operator(self) -> KeyPair:
        """Who may do everything in the store; no service has it."""
        return KeyPair(**json.loads(self._secret("s3.json", lambda: json.dumps(policies.new_key_pair()._asdict()))))

    def _s3_pairs(self) -> dict[str, KeyPair]:
        """Each service's own."""
        made = self._secret(
            "s3-services.json", lambda: json.dumps({name: policies.new_key_pair()._asdict() for name in SERVICES})
        )
        return {name: KeyPair(**pair) for name, pair in json.loads(made).items()}

    def _s3_config(self) -> Path:
        """Written anew where the policies have changed; the S3 server reads it when it starts."""
        config = json.dumps(policies.seaweedfs(self._s3_pairs(), BUCKET, self._s3_operator()))
        path = self.home.absolute() / "secrets" / "s3-config.json"
        if self._secret(path.name, lambda: config) != config:
            path.unlink()
            self._secret(path.name, lambda: config)
        return path

    def _service_token(self) -> str:
        """Token that studio shows to the other services; an admin token for people is made beside it."""
        book = TokenBook(self.home / "secrets" / "tokens.json")
        for name in ("admin", "studio"):
            self._secret(f"{name}.token", partial(_enter_token, book, name, "admin"))
        self._secret("viewer.token", partial(_enter_token, book, "viewer", "viewer"))
        return (self.home / "secrets" / "studio.token").read_text().strip()

    def _secret(self, name: str, make: Callable[[], str]) -> str:
        """A secret file, readable by us only, made the first time."""
        path = self.home / "secrets" / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            partial_file = path.with_suffix(".part")
            partial_file.touch(mode=0o600)
            partial_file.write_text(make())
            partial_file.replace(path)
        return path.read_text()


def _enter_token(book: TokenBook, name: str, role: Role) -> str:
    secret, token = new_token(name, role)
    book.add(token)
    return secret


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2.0).status_code < 400
    except httpx.HTTPError:
        return False


def prepare_base_model(say: Callable[[str], None] = print) -> None:
    """Unpack the small base model of the offline profile, once."""
    if BASE_MODEL.exists():
        return
    say("unpacking the base model (once)")
    command = [str(venv_python("trainer")), "-m", "services.trainer.engine", "prepare", "--out", str(BASE_MODEL)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EngineFailedError(f"the base model could not be unpacked:\n{done.stderr[-2000:]}")


def local_stack() -> Stack:
    """The stack of this checkout: `.run` and STUDIO_PORT."""
    port = int(os.environ.get("STUDIO_PORT", DEFAULT_PORT))
    return Stack(home=Path(os.environ.get("DIARY_HOME", ROOT / ".run")), port=port)


def main(arguments: list[str]) -> int:
    stack = local_stack()
    try:
        if arguments == ["up"]:
            prepare_base_model()
            stack.up(say=print)
            print(f"\npages and API: {stack.url('studio')}   logs: {stack.home / 'logs'}")
            print(f"token: export DIARY_TOKEN=$(cat {stack.home / 'secrets' / 'admin.token'})")
        elif arguments == ["down"]:
            stopped = stack.down()
            print("stopped: " + ", ".join(stopped) if stopped else "nothing was running")
        else:
            print("usage: python -m services.studio.machine.local up|down", file=sys.stderr)
            return 2
    except DiaryError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
