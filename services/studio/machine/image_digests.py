"""What `make push` leaves for Kubernetes: our images by the digest that the registry gave them, in k8s/images.

Needs no packages: `python -m services.studio.machine.image_digests IMAGE...`, after the push, on the same machine.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from shared.keys import SERVICES

ROOT = Path(__file__).resolve().parents[3]
FILE = Path("k8s/images/kustomization.yaml")
HEAD = """\
# Written by `make push`: what was pushed, by digest. Your overlay takes it as `components: [../../images]`.
apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
images:
"""

RepoDigests = Callable[[str], Sequence[str]]


class NotPushedError(Exception):
    """An image has no digest in the registry of its name."""

    def __init__(self, image: str) -> None:
        super().__init__(f"{image} has no digest of its registry; run `make push` with the same IMAGE_PREFIX")


def write(images: Sequence[str], root: Path, repo_digests: RepoDigests) -> Path:
    """Put the digests of our images into `root`; others among `images` are passed over.

    repo_digests   what docker knows of an image: REPOSITORY@sha256:...
    raises         NotPushedError
    """
    ours = {name: image for image in images if (name := repository(image).rsplit("/", 1)[-1]) in SERVICES}
    pinned = {name: pick(ours[name], repo_digests(ours[name])) for name in SERVICES}
    path = root / FILE
    path.parent.mkdir(exist_ok=True)
    path.write_text(component(pinned), encoding="utf-8")
    return path


def component(pinned: Mapping[str, str]) -> str:
    """The kustomization. pinned: service -> REPOSITORY@DIGEST."""
    entries = [(f"diary/{service}", *image.split("@")) for service, image in pinned.items()]
    return HEAD + "".join(
        f'  - {{name: {name}, newName: "{new_name}", digest: "{digest}"}}\n' for name, new_name, digest in entries
    )


def pick(image: str, repo_digests: Sequence[str]) -> str:
    """Of an image's digests the one in the registry of its name: it may have been in others before."""
    wanted = repository(image)
    for found in repo_digests:
        name = found.split("@")[0]
        if name == wanted or wanted.endswith(f"/{name}"):  # docker leaves out its own registry's host
            return f"{wanted}@{found.split('@')[1]}"
    raise NotPushedError(image)


def repository(image: str) -> str:
    """REGISTRY:PORT/PATH of REGISTRY:PORT/PATH:TAG."""
    head, slash, last = image.rpartition("/")
    return head + slash + last.split(":")[0]


def of_docker(image: str) -> list[str]:
    """What docker on this machine knows."""
    command = ["docker", "inspect", "--format", "{{json .RepoDigests}}", image]
    return list(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))


def main() -> int:
    try:
        path = write(sys.argv[1:], ROOT, of_docker)
    except NotPushedError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
