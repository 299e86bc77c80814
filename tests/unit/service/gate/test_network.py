"""Other addresses: only with TLS, and only where the settings say so; a real process, a real certificate."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
from pathlib import Path

import httpx
import pytest

from cardio.client import default_token_file
from tests.unit.cardio.cli.test_cli import CARDIO, run
from tests.unit.cardio.debits.debits import ANY_YEAR, moment, soft_sam
from tests.unit.service.debits.debit_desk import CARD


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    key, path = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=desk.example", "-addext", "subjectAltName=IP:127.0.0.1,IP:127.0.0.2", "-keyout", key,
         "-out", path],
        check=True, capture_output=True,
    )  # fmt: skip
    return path, key


def test_with_tls_it_listens_elsewhere_and_nothing_is_in_the_clear(
    certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    settings = tmp_path / "bridge.toml"
    settings.write_text(
        f'[network]\nlisten = ["127.0.0.2"]\ncertificate = "{certificate[0]}"\nkey = "{certificate[1]}"\n'
    )
    environment = os.environ | {"CARDIO_BRIDGE_FILE": str(settings)}
    served = subprocess.Popen(
        [CARDIO, "serve", "--no-pcsc", "--port", "0", "--json", "--simulate", "adult"],
        stdout=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    try:
        assert served.stdout is not None
        address = json.loads(served.stdout.readline())["address"]
        port = int(address.rpartition(":")[2])
        assert address.startswith("https://127.0.0.1:")
        trust = ssl.create_default_context(cafile=str(certificate[0]))
        with httpx.Client(verify=trust, trust_env=False) as client:
            assert client.get(f"{address}/livez").status_code == 200
            # The name it is reached by must be known too.
            assert client.get(f"https://127.0.0.2:{port}/livez").status_code == 421
        with httpx.Client(trust_env=False) as client, pytest.raises(httpx.TransportError):
            client.get(f"http://127.0.0.2:{port}/livez")
    finally:
        served.terminate()
        served.communicate(timeout=10)


def test_a_debit_over_tls_is_handed_over_too(certificate: tuple[Path, Path], tmp_path: Path) -> None:
    """What is asked of the connection is asked of the one beneath TLS."""
    soft_sam(tmp_path)
    settings = tmp_path / "bridge.toml"
    settings.write_text(
        f'[network]\nlisten = ["127.0.0.2"]\ncertificate = "{certificate[0]}"\nkey = "{certificate[1]}"\n'
    )
    environment = os.environ | ANY_YEAR | {
        "CARDIO_BRIDGE_FILE": str(settings), "CARDIO_SAM": f"soft:{tmp_path / 'keys.toml'}",
        "CARDIO_BRIDGE_SCOPES": "basic,files,pin,settle", "CARDIO_BRIDGE_DEBITS_FILE": str(tmp_path / "debits.sqlite"),
    }  # fmt: skip
    served = subprocess.Popen(
        [CARDIO, "serve", "--no-pcsc", "--port", "0", "--json", "--simulate", "whole"],
        stdout=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    try:
        assert served.stdout is not None
        address = json.loads(served.stdout.readline())["address"]
        trust = ssl.create_default_context(cafile=str(certificate[0]))
        token = default_token_file().read_text().strip()
        with httpx.Client(verify=trust, trust_env=False, headers={"Authorization": f"Bearer {token}"}) as client:
            for second in (1, 2):
                asked = {"pCardInfo": CARD, "pPayInfo": f"0.1|0.20|{moment(ago=10 - second)}|", "pin": "123456"}
                done = client.post(
                    f"{address}/v1/driver/iDoDebit", json=asked, headers={"Idempotency-Key": f"k{second}"}
                )
                assert done.status_code == 200, done.text
            listed = client.get(f"{address}/v1/debits", params={"peek": True}).json()["debits"]
            assert [one["state"] for one in listed] == ["delivered", "delivered"]
    finally:
        served.terminate()
        served.communicate(timeout=10)


def test_without_tls_it_does_not_start(tmp_path: Path) -> None:
    settings = tmp_path / "bridge.toml"
    settings.write_text('[network]\nlisten = ["0.0.0.0"]\n')
    done = run("serve", "--no-pcsc", "--simulate", CARDIO_BRIDGE_FILE=str(settings))
    assert done.returncode == 78 and "TLS" in done.stderr
