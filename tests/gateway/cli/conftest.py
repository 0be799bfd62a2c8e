"""A scripted cloud behind TLS, and the nova command run against it in this process."""

import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.cli.main import run
from tests.gateway.cli import cloud as clouds
from tests.gateway.cli.certificates import Certificates, make_certificates
from tests.gateway.cli.cloud import Cloud
from tests.gateway.cli.real import real as real  # a fixture


@dataclass(frozen=True)
class Ran:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def ok(self) -> str:
        """Standard output of a command that went well and had nothing to complain about."""
        assert (self.code, self.err) == (0, "")
        return self.out


Nova = Callable[..., Ran]


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def cloud() -> Cloud:
    """The seed's cloud."""
    made = Cloud()
    made.add_seed()
    return made


@pytest.fixture
def port(cloud: Cloud, certificates: Certificates) -> Iterator[int]:
    """Where the cloud is served."""
    server, bound = clouds.serve(cloud, certificates)
    yield bound
    cloud.ended.set()
    server.stop(0).wait()


@pytest.fixture
def credentials(
    port: int, certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A credentials file, and an environment that leads to it."""
    file = tmp_path / "credentials.toml"
    file.write_text(
        f'endpoint = "127.0.0.1:{port}"\ntoken = "{clouds.TOKEN}"\n'
        f'project = "{clouds.PROJECT}"\nca = "{certificates.ca}"\n'
    )
    file.chmod(0o600)
    for variable in ("ENDPOINT", "TOKEN", "PROJECT", "CA"):
        monkeypatch.delenv(f"NOVARAY_{variable}", raising=False)
    monkeypatch.setenv("NOVARAY_CREDENTIALS", str(file))
    monkeypatch.setenv("COLUMNS", "80")
    return file


@pytest.fixture
def nova(credentials: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> Nova:
    """Run a command line."""
    assert credentials.exists()

    def ran(*arguments: str) -> Ran:
        code = run(list(arguments))
        sys.stdout.flush()
        out, err = capfdbinary.readouterr()
        return Ran(int(code), out.decode(), err.decode())

    return ran


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Child processes hear Ctrl-C, also where a shell runs the tests in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
