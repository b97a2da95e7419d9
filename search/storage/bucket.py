"""Files in a bucket of S3, or of what speaks its language: for machines without a common disk.

boto3 knows where credentials, region and endpoint come from (AWS_*, its files, the machine's role), and tries again
what fails for a moment. It is loaded by the first request, so that nobody needs it who has no bucket.
"""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from search.errors import StoreUnavailable
from search.storage.disk_faults import guarded, scratch

CONNECT_SECONDS, READ_SECONDS, ATTEMPTS = 5, 20, 5
_KINDS: dict[str, type[OSError]] = {
    "404": FileNotFoundError,
    "NoSuchKey": FileNotFoundError,
    "PreconditionFailed": FileExistsError,
}
_CREDENTIALS = re.compile(r"//[^/@\s]+@")  # of an endpoint that carries them


class Bucket:
    """A `store.Store` in the bucket and below the prefix of `s3://bucket/prefix`."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._bucket, _, prefix = self.url.removeprefix("s3://").partition("/")
        self._prefix = f"{prefix}/" if prefix else ""

    def __repr__(self) -> str:
        return f"Bucket({self.url!r})"

    def __reduce__(self) -> tuple[type[Bucket], tuple[str]]:
        """Connections and credentials stay in this process."""
        return Bucket, (self.url,)

    def check(self) -> None:
        """Writes, lists, reads and deletes a small file."""
        key = f"check-{uuid.uuid4().hex}"
        try:
            with self._asking() as client:
                client.put_object(Bucket=self._bucket, Key=self._full(key), Body=b"thermowell", IfNoneMatch="*")
            with self.reading(key):
                self.delete(key)
        except OSError as error:
            raise StoreUnavailable(
                f"{error}. Check THERMOWELL_ARTIFACT_STORE, AWS_ENDPOINT_URL, AWS_DEFAULT_REGION and the credentials "
                "(AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_SHARED_CREDENTIALS_FILE or a role): they must be "
                "allowed to put, list, get and delete"
            ) from None

    def check_removal(self) -> None:
        """As `check`: what may be deleted is not told otherwise."""
        self.check()

    def check_presence(self) -> None:
        """Nothing to ask: a bucket that is gone is told by whatever is asked of it."""

    def put(self, key: str, source: Path) -> None:
        """Uploads a file, a large one in parts that become an object only when all are there."""
        with guarded(f"{key} cannot be put"), self._asking() as client:
            client.upload_file(str(source), self._bucket, self._full(key), Config=self._transfer)

    def put_new(self, key: str, source: Path) -> bool:
        """Uploads a file of at most 5 GB, with its digest, unless there is one; False where there was."""
        return self._put_if(key, source, IfNoneMatch="*")

    def replace(self, key: str, source: Path, tag: str) -> bool:
        """The same in the place of the file with this entity tag; False where there is another by now, or none."""
        return self._put_if(key, source, IfMatch=tag)

    def _put_if(self, key: str, source: Path, **condition: str) -> bool:
        try:
            with guarded(f"{key} cannot be put"), self._asking() as client, source.open("rb") as body:
                metadata = {"sha256": hashlib.file_digest(body, "sha256").hexdigest()}
                body.seek(0)
                client.put_object(Bucket=self._bucket, Key=self._full(key), Body=body, Metadata=metadata, **condition)
        except (FileExistsError, FileNotFoundError):
            return False
        return True

    def described(self, key: str) -> tuple[str, str]:
        """A file's entity tag, and the digest with which it was uploaded, "" where it had none. FileNotFoundError."""
        with self._asking() as client:
            description = client.head_object(Bucket=self._bucket, Key=self._full(key))
        return str(description["ETag"]), str(description.get("Metadata", {}).get("sha256", ""))

    @contextmanager
    def adding(self, key: str) -> Iterator[Path]:
        """A name in a temporary folder, from where it is uploaded."""
        with scratch() as folder:
            path = folder / key.rpartition("/")[2]
            yield path
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                if not file.is_dir():
                    self.put(str(Path(key, file.relative_to(path))), file)

    @contextmanager
    def reading(self, key: str) -> Iterator[Path]:
        """A copy in a temporary folder."""
        with scratch() as folder:
            path = folder / key.rpartition("/")[2]
            entries = self._below(key)
            if not entries:
                raise FileNotFoundError(f"there is no {key} in {self.url}")
            for entry in entries:
                target = Path(os.path.normpath(path / entry[len(key) + 1 :]))
                if not target.is_relative_to(path):
                    raise StoreUnavailable(
                        f"{self.url} holds {entry!r}, which leads out of its folder: delete that object"
                    )
                target.parent.mkdir(parents=True, exist_ok=True)
                with self._asking() as client:  # FileNotFoundError where it was deleted meanwhile
                    client.download_file(self._bucket, self._full(entry), str(target), Config=self._transfer)
            yield path

    def exists(self, key: str) -> bool:
        """Whether there is such a file, or one below it."""
        return bool(self._below(key))

    def names(self, key: str) -> list[str]:
        """The next parts of the keys that begin with this one."""
        inside = self._full(f"{key}/")
        entries = [
            entry["Prefix"] if "Prefix" in entry else entry["Key"]
            for page in self._pages(inside, Delimiter="/")
            for entry in (*page.get("CommonPrefixes", ()), *page.get("Contents", ()))
        ]
        return sorted(entry[len(inside) :].rstrip("/") for entry in entries)

    def delete(self, key: str) -> None:
        """Deletes one by one: not everything that speaks S3 takes a list."""
        for entry in self._below(key):
            with self._asking() as client:
                client.delete_object(Bucket=self._bucket, Key=self._full(entry))

    def close(self) -> None:
        """Closes the connections; the next request would open new ones."""
        client = self.__dict__.pop("_client", None)
        if client is not None:
            client.close()

    def _below(self, key: str) -> list[str]:
        """The file of this key, or those of the folder."""
        entries = [entry["Key"] for page in self._pages(self._full(key)) for entry in page.get("Contents", ())]
        keys = [name[len(self._prefix) :] for name in entries]
        return [name for name in keys if name == key or name.startswith(f"{key}/")]

    def _pages(self, prefix: str, **options: str) -> list[dict[str, Any]]:
        with self._asking() as client:
            listed = client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix, **options)
            return list(listed)

    def _full(self, key: str) -> str:
        return self._prefix + key

    @contextmanager
    def _asking(self) -> Iterator[Any]:
        """The client. What it raises becomes FileNotFoundError, FileExistsError (put_new) or StoreUnavailable, in one
        line and without the frames that it came from.
        """
        try:
            from boto3.exceptions import Boto3Error
            from botocore.exceptions import BotoCoreError, ClientError
        except ImportError:
            raise StoreUnavailable(f"{self.url} needs boto3: pip install 'thermowell[s3]'") from None
        try:
            yield self._client
        except (Boto3Error, BotoCoreError, ClientError, ValueError) as error:
            code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
            detail = _CREDENTIALS.sub("//", " ".join(str(error).split()))
            kind = _KINDS.get(code, StoreUnavailable)
            raise kind(f"{self.url} cannot be used: {detail.rstrip('.')}") from None

    @cached_property
    def _client(self) -> Any:
        import boto3
        from botocore.config import Config

        config = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            # Digests are ours; not everything that speaks S3 knows the sums which boto3 would add to each upload.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        return boto3.session.Session().client("s3", config=config)

    @cached_property
    def _transfer(self) -> Any:
        """One part after the other, in this thread: a signal to stop finds no other that works on."""
        from boto3.s3.transfer import TransferConfig

        return TransferConfig(use_threads=False)
