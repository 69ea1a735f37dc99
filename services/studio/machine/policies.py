"""What each service may do in the object store, for the store's own access control. `make s3-policies`.

Each service gets a key pair of its own and a policy in the IAM policy language, which AWS, MinIO and SeaweedFS read. A
service that is broken into then cannot change what others made. See docs/operations.md, "A key for each service".
Needs no packages: it runs on a host before anything is installed.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from shared import keys

ROOT = Path(__file__).resolve().parents[3]


class KeyPair(NamedTuple):
    access: str
    secret: str


def new_key_pair() -> KeyPair:
    return KeyPair(secrets.token_hex(10), secrets.token_hex(20))


# ---- policies. Pure. ------------------------------------------------------------------------------------------------


def policy(service: str, bucket: str) -> dict[str, Any]:
    """The IAM policy of a service: what it reads, puts and removes by shared/keys.py, and nothing else.

    Studio alone makes the bucket, lists writes that broke off and ends them.
    """
    own = f"arn:aws:s3:::{bucket}"
    of_bucket = ["s3:GetBucketLocation", "s3:ListBucket"]
    if service == keys.STUDIO:
        of_bucket += ["s3:CreateBucket", "s3:ListBucketMultipartUploads"]
    granted = (
        (["s3:GetObject"], keys.read_by(service)),
        (["s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"], keys.written_by(service)),
        (["s3:DeleteObject"], keys.removed_by(service)),
    )
    return {
        "Version": "2012-10-17",
        "Statement": [
            _allow(of_bucket, [own]),
            *(_allow(actions, [f"{own}/{pattern}" for pattern in patterns]) for actions, patterns in granted),
        ],
    }


def _allow(actions: list[str], resources: Iterable[str]) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": list(resources)}


def seaweedfs(pairs: Mapping[str, KeyPair], bucket: str, operator: KeyPair | None = None) -> dict[str, Any]:
    """A configuration for SeaweedFS's `-s3.config`: an identity for each service, bound to its policy.

    pairs      key pair of each service
    operator   key pair of somebody who may do everything, such as a backup
    """
    people = [{**_identity("operator", operator), "actions": ["Admin"]}] if operator else []
    services = [{**_identity(name, pair), "policyNames": [name]} for name, pair in pairs.items()]
    return {
        "identities": [*people, *services],
        "policies": [{"name": name, "content": json.dumps(policy(name, bucket))} for name in pairs],
    }


def _identity(name: str, pair: KeyPair) -> dict[str, Any]:
    return {"name": name, "credentials": [{"accessKey": pair.access, "secretKey": pair.secret}]}


# ---- files -----------------------------------------------------------------------------------------------------------


def prepare(root: Path, bucket: str) -> list[Path]:
    """Below `root`: dist/s3/NAME.json with each service's policy, and secrets/NAME_s3_access_key and its secret.

    secrets/seaweedfs.json has all of it for a SeaweedFS server. Policies are written again each time; a key pair that
    is there stays. Returns what was written.
    """
    hidden, shown = root / "secrets", root / "dist" / "s3"
    hidden.mkdir(exist_ok=True)
    hidden.chmod(0o700)
    shown.mkdir(parents=True, exist_ok=True)
    texts = {shown / f"{name}.json": policy(name, bucket) for name in keys.SERVICES}
    texts[hidden / "seaweedfs.json"] = seaweedfs({name: _pair(hidden, name) for name in keys.SERVICES}, bucket)
    for path, content in texts.items():
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return list(texts)


def _pair(folder: Path, service: str) -> KeyPair:
    """The key pair of a service, made the first time; a container reads the files under another user."""
    paths = [folder / f"{service}_s3_{part}_key" for part in KeyPair._fields]
    for path, value in zip(paths, new_key_pair(), strict=True):
        if not path.exists():
            path.write_text(value, encoding="utf-8")
    return KeyPair(*(path.read_text(encoding="utf-8").strip() for path in paths))


def main(arguments: list[str]) -> int:
    options = argparse.ArgumentParser(
        "services.studio.machine.policies", description="one S3 policy and key pair per service"
    )
    options.add_argument("--bucket", default="diary", help="S3_BUCKET of the services (diary)")
    known = options.parse_args(arguments)
    for path in prepare(ROOT, known.bucket):
        print(path.relative_to(ROOT))
    print(
        "key pairs: secrets/NAME_s3_access_key and secrets/NAME_s3_secret_key; what to do with them: docs/operations.md"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
