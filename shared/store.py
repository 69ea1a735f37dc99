"""The object store: one protocol and the S3 client behind it. Conditional writes live here and nowhere else.

Manifests are created once (`create`: put if absent), pointers change by compare-and-swap (`replace`), bytes go to
`blobs/{sha256}` first. A store that lets two writers win one conditional put is refused at start (shared/races.py).
What no manifest names is removed by studio's collector once it is older than a day; so `put_blob` sends again what it
finds here but half that old, and its manifest has half a day to come.
"""

from __future__ import annotations

import hashlib
import io
import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol, TypeVar
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.error import InvalidResponseError, S3Error, ServerError
from pydantic import BaseModel, ValidationError

from shared import keys
from shared.errors import (
    ArtifactMissingError,
    BadInputError,
    ConflictError,
    NewerDataError,
    NoSpaceError,
    NotAllowedError,
    StoreUnavailableError,
)
from shared.schemas import Blob, MadeFrom, newest_schema

R = TypeVar("R", bound=BaseModel)

PART_BYTES = 16 * 1024 * 1024
CHUNK_BYTES = 1024 * 1024
GRACE = timedelta(hours=24)  # what no manifest names is never removed before it is that old
SENT_AGAIN_AFTER = GRACE / 2
FULL = ("XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "QuotaExceeded")


class Stored(NamedTuple):
    """How large an object is, when it was last written by the store's clock, and its version tag (see Store.read)."""

    bytes: int
    modified: datetime
    tag: str = ""


class Store(Protocol):
    """What every service may do to stored objects. Missing keys raise ArtifactMissingError."""

    def get(self, key: str) -> bytes: ...

    def read(self, key: str) -> tuple[bytes, str]:
        """Content and the version tag that `replace` wants back."""
        ...

    def create(self, key: str, data: bytes) -> bool:
        """Write unless something is there; True if this call wrote it."""
        ...

    def replace(self, key: str, data: bytes, tag: str) -> None:
        """Write if the version is still `tag`; ConflictError if somebody else was faster."""
        ...

    def put_stream(self, key: str, stream: BinaryIO, media_type: str) -> None: ...

    def fetch(self, key: str, path: Path) -> None:
        """Stream an object into a file."""
        ...

    def stream(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The content piece by piece, or `length` bytes of it from `offset` on; fewer where it ends before."""
        ...

    def stat(self, key: str) -> Stored | None:
        """None when nothing is there."""
        ...

    def exists(self, key: str) -> bool: ...

    def list(self, prefix: str) -> list[str]:
        """All keys under a prefix, sorted."""
        ...

    def folders(self, prefix: str) -> tuple[str, ...]:
        """Names of what lies right below a prefix and holds further keys, sorted: `a` for `shows/a/show.json`."""
        ...

    def sizes(self, prefix: str) -> dict[str, Stored]:
        """All objects under a prefix, in order of their keys."""
        ...

    def delete(self, key: str) -> None: ...

    def broken_off(self, before: datetime) -> tuple[str, ...]:
        """Names of large writes that began before a time and never ended; no list of objects shows their parts."""
        ...

    def drop_broken_off(self, name: str) -> None:
        """Free the parts of such a write."""
        ...


# ---- records, manifests and blobs, on any store ---------------------------------------------------------------------


def load(store: Store, key: str, record: type[R]) -> R:
    """The record stored at a key; BadInputError if what is there is none, NewerDataError if we are too old for it."""
    return parse(store.get(key), key, record)


def parse(data: bytes, key: str, record: type[R]) -> R:
    try:
        return record.model_validate_json(data)
    except ValidationError as error:
        _demand_known_schema(data, key, record)
        raise BadInputError(f"{key} is not a valid {record.__name__}: {error.errors()[0]['msg']}") from error


def _demand_known_schema(data: bytes, key: str, record: type[BaseModel]) -> None:
    """raises NewerDataError if the record's `schema_version` is above those that its class knows"""
    try:
        found = json.loads(data).get("schema_version")
    except (ValueError, AttributeError):
        return
    if isinstance(found, int) and found > (known := newest_schema(record)):
        raise NewerDataError(
            f"{key} was made by a newer version of the product (schema {found}, this one knows {known}); upgrade, or "
            "restore a backup that this version made"
        )


def create_manifest(store: Store, key: str, record: BaseModel) -> bool:
    return store.create(key, record.model_dump_json().encode())


def point(store: Store, key: str, value: bytes) -> None:
    """Make a pointer say `value`, whatever it said before."""
    while not store.create(key, value):
        _, tag = store.read(key)
        try:
            return store.replace(key, value, tag)
        except ConflictError:
            continue


def revise(store: Store, key: str, record: type[R], change: Callable[[R], R]) -> R:
    """Change a stored record by compare-and-swap, over and over until nobody was faster; returns what is stored.

    raises   ArtifactMissingError, and whatever `change` raises
    """
    while True:
        data, tag = store.read(key)
        known = parse(data, key, record)
        changed = change(known)
        if changed == known:
            return known
        try:
            store.replace(key, changed.model_dump_json().encode(), tag)
        except ConflictError:
            continue
        return changed


def made_from(store: Store, *object_keys: str) -> tuple[MadeFrom, ...]:
    return tuple(MadeFrom(key=key, sha256=hashlib.sha256(store.get(key)).hexdigest()) for key in object_keys)


def put_blob(store: Store, source: bytes | Path, media_type: str) -> Blob:
    """Store bytes or a file under the name of its content; what is there, whole and new, is not sent again."""
    if isinstance(source, Path):
        sha256, size = file_sha256(source), source.stat().st_size
    else:
        sha256, size = hashlib.sha256(source).hexdigest(), len(source)
    blob = Blob(key=keys.blob(sha256), sha256=sha256, bytes=size, media_type=media_type)
    there = store.stat(blob.key)
    if there is None or there.bytes != size or datetime.now(UTC) - there.modified > SENT_AGAIN_AFTER:
        with source.open("rb") if isinstance(source, Path) else io.BytesIO(source) as stream:
            store.put_stream(blob.key, stream, media_type)
    return blob


def get_blob(store: Store, blob: Blob) -> bytes:
    data = store.get(blob.key)
    _check_digest(blob, hashlib.sha256(data).hexdigest())
    return data


def fetch_blob(store: Store, blob: Blob, path: Path) -> Path:
    """Bring a blob into a file, whole and checked, or not at all."""
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    try:
        store.fetch(blob.key, partial)
        _check_digest(blob, file_sha256(partial))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def file_sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _check_digest(blob: Blob, found: str) -> None:
    if found != blob.sha256:
        raise BadInputError(f"{blob.key} is damaged in the store: its content hashes to {found[:12]}...; restore it")


# ---- S3 ----------------------------------------------------------------------------------------------------------


class S3Store:
    """The S3 API through the minio client.

    url      http(s)://host:port of the endpoint
    bucket   made by the first caller
    raises   StoreUnavailableError while the server does not answer; the job runner waits and repeats
    """

    def __init__(self, url: str, access_key: str, secret_key: str, bucket: str, *, timeout_s: float = 20.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise BadInputError(f"S3 endpoint {url!r} is not a URL; set it like http://127.0.0.1:9000")
        self._bucket = bucket
        self._client = Minio(
            parts.netloc,
            access_key=access_key,
            secret_key=secret_key,
            secure=parts.scheme == "https",
            region="us-east-1",
            http_client=urllib3.PoolManager(
                timeout=urllib3.Timeout(connect=3.0, read=timeout_s),
                maxsize=16,
                retries=urllib3.Retry(total=2, backoff_factor=0.2, status_forcelist=[500, 502, 503, 504]),
            ),
        )

    def ensure_bucket(self) -> None:
        with _named_errors(self._bucket):
            if self._client.bucket_exists(self._bucket):
                return
            try:
                self._client.make_bucket(self._bucket)
            except S3Error as error:
                if error.code not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
                    raise

    def get(self, key: str) -> bytes:
        return self.read(key)[0]

    def read(self, key: str) -> tuple[bytes, str]:
        with self._opened(key) as response:
            return response.read(), response.headers["ETag"].strip('"')

    def create(self, key: str, data: bytes) -> bool:
        """True also for the repeat of a put whose reply was lost: what is there is what we wrote."""
        return self._conditional_put(key, data, {"If-None-Match": "*"}) or self.get(key) == data

    def replace(self, key: str, data: bytes, tag: str) -> None:
        if not self._conditional_put(key, data, {"If-Match": f'"{tag}"'}):
            raise ConflictError(f"{key} was changed by somebody else meanwhile; read it again and repeat the change")

    def put_stream(self, key: str, stream: BinaryIO, media_type: str) -> None:
        with _named_errors(key):
            self._client.put_object(
                self._bucket,
                key,
                stream,
                -1,
                content_type=media_type,
                part_size=PART_BYTES,
                num_parallel_uploads=1,
            )

    def fetch(self, key: str, path: Path) -> None:
        with self._opened(key) as response, path.open("wb") as file:
            for chunk in response.stream(CHUNK_BYTES):
                file.write(chunk)

    def stream(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        if length == 0:
            return  # the client takes 0 for all
        try:
            with self._opened(key, offset, length or 0) as response:
                yield from response.stream(CHUNK_BYTES)
        except _BeyondEndError:
            return

    def stat(self, key: str) -> Stored | None:
        try:
            with _named_errors(key):
                return _stored(self._client.stat_object(self._bucket, key))
        except ArtifactMissingError:
            return None

    def exists(self, key: str) -> bool:
        return self.stat(key) is not None

    def list(self, prefix: str) -> list[str]:
        return list(self.sizes(prefix))

    def sizes(self, prefix: str) -> dict[str, Stored]:
        with _named_errors(prefix):
            listed = self._client.list_objects(self._bucket, prefix=prefix, recursive=True)
            found = {item.object_name: _stored(item) for item in listed if item.object_name and not item.is_dir}
        return dict(sorted(found.items()))

    def folders(self, prefix: str) -> tuple[str, ...]:
        with _named_errors(prefix):
            listed = self._client.list_objects(self._bucket, prefix=prefix)
            found = [item.object_name or "" for item in listed if item.is_dir]
        return tuple(sorted(name.removeprefix(prefix).rstrip("/") for name in found))

    def delete(self, key: str) -> None:
        with _named_errors(key):
            self._client.remove_object(self._bucket, key)

    def broken_off(self, before: datetime) -> tuple[str, ...]:
        """A MinIO server tells none, and drops them by itself after a day."""
        with _named_errors(keys.BLOBS):
            found = self._client._list_multipart_uploads(self._bucket).uploads
        began = [(item.object_name, item.upload_id, item.initiated_time) for item in found]
        names = (f"{upload}@{key}" for key, upload, time in began if time is not None and time < before)
        return tuple(sorted(names))

    def drop_broken_off(self, name: str) -> None:
        upload, _, key = name.partition("@")
        with _named_errors(key):
            try:
                self._client._abort_multipart_upload(self._bucket, key, upload)
            except S3Error as error:
                if error.code != "NoSuchUpload":  # ended, or dropped by somebody else
                    raise

    @contextmanager
    def _opened(self, key: str, offset: int = 0, length: int = 0) -> Iterator[Any]:
        """The answer to a GET of an object, whose connection goes back afterwards."""
        with _named_errors(key):
            response = self._client.get_object(self._bucket, key, offset=offset, length=length)
            try:
                yield response
            finally:
                response.close()
                response.release_conn()

    def _conditional_put(self, key: str, data: bytes, condition: dict[str, str]) -> bool:
        """Single PUT under a condition; False if it does not hold. minio-py 7.2 has no public argument for this."""
        with _named_errors(key):
            try:
                self._client._execute(
                    "PUT",
                    self._bucket,
                    key,
                    body=data,
                    headers={"Content-Type": "application/json", **condition},
                )
            except S3Error as error:
                lost = error.code in ("PreconditionFailed", "ConditionalRequestConflict")
                gone = error.code == "NoSuchKey" and "If-Match" in condition
                if lost or gone:
                    return False
                raise
        return True


class _BeyondEndError(Exception):
    """A range begins where the object has ended."""


def _stored(item: Any) -> Stored:
    """From what the client tells of an object, in a list or alone."""
    tag = (item.etag or "").strip('"')
    return Stored(bytes=item.size or 0, modified=item.last_modified or datetime.now(UTC), tag=tag)


def _denied(key: str) -> str:
    """What to do where credentials do not reach so far; to a HEAD, the server does not say whether it knows them."""
    if "/" not in key:
        return (
            f"the object store does not let us use bucket {key}; check S3_ACCESS_KEY, and where each service has a key "
            "of its own, start studio: it makes the bucket"
        )
    if key.endswith("/"):
        return f"our S3_ACCESS_KEY may not list {key}; give it the policy that `make s3-policies` writes"
    return (
        f"our S3_ACCESS_KEY may not do this at {key}, which {keys.writer(key)} writes; give each service its own key "
        "with the policy that `make s3-policies` writes (docs/operations.md)"
    )


@contextmanager
def _named_errors(key: str) -> Iterator[None]:
    """Turn the client's errors into ours: missing, unavailable, or a setting that is wrong."""
    try:
        yield
    except S3Error as error:
        if error.code in ("NoSuchKey", "NoSuchObject") or (error.code == "NoSuchBucket"):
            raise ArtifactMissingError(key, keys.advice(key) if "/" in key else "start the stack") from error
        if error.code == "InvalidRange":
            raise _BeyondEndError from error
        if error.code in ("SignatureDoesNotMatch", "InvalidAccessKeyId"):
            raise BadInputError(
                f"the object store refused our credentials ({error.code}); check S3_ACCESS_KEY"
            ) from error
        if error.code == "AccessDenied":
            raise NotAllowedError(_denied(key)) from error
        if error.code in FULL or error.response.status == 507:
            raise NoSpaceError(
                "the object store is full; see `diary storage` and `diary storage gc`, or give it a larger volume"
            ) from error
        raise StoreUnavailableError(f"the object store failed on {key}: {error.code}; see its log") from error
    except (urllib3.exceptions.HTTPError, ServerError, InvalidResponseError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None and not isinstance(error, ConnectionError):
            raise
        raise StoreUnavailableError(
            f"the object store does not answer ({type(error).__name__}); start it with `make up` or check S3_URL"
        ) from error
