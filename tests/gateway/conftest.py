"""A gateway in front of an in-memory cloud, for each test its own."""

from collections.abc import AsyncIterator

import pytest

from gateway.rpc.server import TlsFiles
from tests.gateway import certificates
from tests.gateway.cloud import Cloud, make_compute, serve


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[TlsFiles, bytes]:
    """The server's files and the CA."""
    return certificates.make(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def cloud(tls: tuple[TlsFiles, bytes]) -> AsyncIterator[Cloud]:
    """The cloud."""
    async with serve(tls, make_compute()) as made:
        yield made
