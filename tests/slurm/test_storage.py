"""Results that lie in an S3 storage, of a server on this machine."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.crashing import digests
from tests.slurm.conftest import Study
from tests.workflow.conftest import ROOT

BUCKET = "studies"
KEYS = {"aws_access_key_id": "made", "aws_secret_access_key": "up", "region_name": "us-east-1"}
SECRETS = {"SNAKEMAKE_STORAGE_S3_ACCESS_KEY": "made", "SNAKEMAKE_STORAGE_S3_SECRET_KEY": "up"}


@pytest.fixture
def server() -> Iterator[str]:
    """Return the address of a server with a bucket, which holds it in memory."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    try:
        address = f"http://127.0.0.1:{port}"
        client(address).create_bucket(Bucket=BUCKET)
        yield address
    finally:
        server.stop()


def storage(address: str) -> list[str]:
    """Return the arguments for results in the bucket."""
    where = ["--default-storage-provider", "s3", "--default-storage-prefix", f"s3://{BUCKET}/first"]
    return [*where, "--storage-s3-endpoint-url", address, "--storage-s3-region", "us-east-1"]


def client(address: str) -> Any:
    return boto3.client("s3", endpoint_url=address, **KEYS)


def fetch(address: str, prefix: str, folder: Path) -> Path:
    """Download all below a prefix."""
    s3 = client(address)
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{prefix}/"):
        for found in page.get("Contents", []):
            path = folder / found["Key"].removeprefix(f"{prefix}/")
            path.parent.mkdir(parents=True, exist_ok=True)
            s3.download_file(BUCKET, found["Key"], str(path))
    return folder


def test_chain_in_a_storage_equals_a_local_run(
    study: Study, reference: dict[str, str], server: str, tmp_path: Path
) -> None:
    """The user's own files and models are read from where they lie."""
    study.environment |= SECRETS
    study.run(*storage(server))

    assert digests(fetch(server, "first/results", tmp_path / "fetched")) == reference
    assert not list(study.results().rglob("*.parquet"))
    assert "Nothing to be done" in study.run(*storage(server))


def test_kubernetes_profile_is_read(study: Study, server: str) -> None:
    """Snakemake knows its keys and values, and the plan by it is whole. No job runs: that takes a Kubernetes."""
    study.environment |= SECRETS
    profile = ["--profile", str(ROOT / "profiles" / "kubernetes"), "--workflow-profile", "none"]
    told = study.run(*profile, *storage(server), "--dry-run", "--quiet", "rules")

    assert re.search(r"^total +12$", told, re.M)
