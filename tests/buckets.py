"""Buckets for tests: a real HTTP server on loopback that speaks S3 and needs no network."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI-a-secret-of-the-tests"


def environment(endpoint: str) -> dict[str, str]:
    """What a program is told of a bucket, as boto3 reads it; nothing of the machine's own counts beside."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }


class Server:
    """A server that can be ended and begun again at its port, with all that it held."""

    def __init__(self) -> None:
        from moto.server import ThreadedMotoServer

        logging.getLogger("werkzeug").setLevel(logging.WARNING)  # a line for each request
        self._make = ThreadedMotoServer
        self._running = self._make("127.0.0.1", 0, verbose=False)
        self._running.start()
        self.port: int = self._running.get_host_and_port()[1]

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> Any:
        """boto3's own client, for tests that look behind."""
        import boto3

        session = boto3.session.Session(KEY, SECRET, region_name="us-east-1")
        return session.client("s3", endpoint_url=self.endpoint)

    def bucket(self) -> str:
        """A new bucket's name."""
        name = f"tests-{uuid.uuid4().hex}"
        with closed(self.client()) as client:
            client.create_bucket(Bucket=name)
        return name

    def guard(self, guarded: bool) -> None:
        """Whether keys count: from then on the tests' own are unknown to it. At first anybody may do anything."""
        httpx.post(f"{self.endpoint}/moto-api/reset-auth", content="0" if guarded else "inf").raise_for_status()

    def stop(self) -> None:
        """Nobody answers from now on."""
        self._running.stop()

    def start(self) -> None:
        """Answers again, at the same port."""
        self._running = self._make("127.0.0.1", self.port, verbose=False)
        self._running.start()


@contextmanager
def closed(client: Any) -> Iterator[Any]:
    """A client that gives its connections back."""
    try:
        yield client
    finally:
        client.close()
