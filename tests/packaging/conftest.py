"""The Debian package, built once, and machines to install it on."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packaging.machine import Machine, started

ROOT = Path(__file__).parents[2]
PACKAGING = ROOT / "packaging"
# Half the time of the default, xz; what is inside is the same.
_QUICK = {"DPKG_DEB_COMPRESSOR_TYPE": "gzip", "DPKG_DEB_COMPRESSOR_LEVEL": "1"}


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the sources as they are; without the network, which these tests have not got."""
    if not (ROOT / ".venv" / "wheelhouse").is_dir():
        pytest.fail("no wheels to build from: packaging/deb/fetch.sh fetches them (make test does)")
    output = tmp_path_factory.mktemp("deb")
    built = subprocess.run(
        [PACKAGING / "deb" / "build.sh", output],
        env={**os.environ, **_QUICK},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return Path(built.stdout.strip())


@pytest.fixture(scope="module")
def installed(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine where the package was just installed, and a clerk has an account."""
    with started(tmp_path_factory.mktemp("installed"), package) as machine:
        machine.run("useradd", "--create-home", "clerk")
        machine.install()
        yield machine


@pytest.fixture
def machine(package: Path, tmp_path: Path) -> Iterator[Machine]:
    """A machine of this test's own, before the installation."""
    with started(tmp_path, package) as made:
        yield made
