"""Rules of the house that no linter knows. Each failure says what to do."""

import re
import subprocess
from importlib.metadata import packages_distributions, version
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("actors", "protos", "gateway", "cluster")
MAX_LINES = 800
DRAWERS = {"helpers", "misc", "util", "utils"}
GRPC_FAMILY = (
    "grpcio",
    "grpcio-health-checking",
    "grpcio-reflection",
    "grpcio-status",
    "grpcio-tools",
)
REMOTE_CALLERS = {"actors/handles/remote.py", "cluster/spawn.py"}
# Spelled in halves, so that this file does not name what it forbids.
REGISTRY_HOSTS = re.compile(
    "|".join(
        re.escape(first + second)
        for first, second in (
            ("pypi.", "org"),
            ("python", "hosted.org"),
            ("deb.", "debian.org"),
            ("security.", "debian.org"),
            ("registry.", "npmjs.org"),
            ("crates.", "io"),
            ("proxy.", "golang.org"),
            ("docker.", "io"),
            ("buf.", "build/"),
        )
    )
)


def repository_files() -> list[str]:
    """Files that git tracks or would track, without those just deleted."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def is_generated(name: str) -> bool:
    return re.search(r"_pb2(_grpc)?\.pyi?$", name) is not None


def modules() -> list[str]:
    return [n for n in repository_files() if n.endswith(".py") and not is_generated(n)]


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8", errors="replace")


def test_modules_are_small() -> None:
    too_long = {
        name: lines for name in modules() if (lines := len(text_of(name).splitlines())) > MAX_LINES
    }
    assert not too_long, f"split these modules (more than {MAX_LINES} lines): {too_long}"


def test_no_module_is_a_drawer() -> None:
    drawers = [name for name in modules() if Path(name).stem in DRAWERS]
    assert not drawers, f"name these modules after what they hold: {drawers}"


def test_remote_is_called_in_two_modules_only() -> None:
    callers = {
        name
        for name in modules()
        if name.split("/")[0] in PACKAGES and re.search(r"\.remote\(", text_of(name))
    }
    assert callers <= REMOTE_CALLERS, (
        f"call a typed handle instead of .remote(): {sorted(callers - REMOTE_CALLERS)}"
    )


def test_top_level_packages_are_ours() -> None:
    # An editable install lists no packages of its own, so that nobody else does is what counts.
    owners = packages_distributions()
    strangers = {name: set(owners.get(name, ())) - {"novaray"} for name in PACKAGES}
    assert not any(strangers.values()), f"other distributions install our packages: {strangers}"


def test_grpc_family_is_of_one_minor_version() -> None:
    minors = {name: version(name).rsplit(".", 1)[0] for name in GRPC_FAMILY}
    assert len(set(minors.values())) == 1, f"pin these to one minor version: {minors}"


def test_no_file_names_a_registry_host() -> None:
    named = {
        name: found.group()
        for name in repository_files()
        if (found := REGISTRY_HOSTS.search(text_of(name)))
    }
    assert not named, f"where packages come from is each machine's own setting: {named}"
