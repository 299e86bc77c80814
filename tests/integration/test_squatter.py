"""Another user's program at the bridge's port while the bridge is down: what opens a page says so, gives nothing."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.bridges import BridgeProcess
from tests.integration.users import CLERK, OTHER, bridge_of, bridge_run_by, doing, home_of

SETTINGS = 'port = {port}\nscopes = ["basic"]\n'


@pytest.fixture
def home() -> Iterator[Path]:
    with home_of(CLERK) as folder:
        yield folder


def opens(folder: Path, port: int, *words: str, before: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """`cardio open` by the clerk, as the icon runs it; the browser is a program that notes its link."""
    browser = folder / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" >"{folder}/cache/link"\n')
    browser.chmod(0o755)
    environment = os.environ | {
        "XDG_CONFIG_HOME": str(folder / "config"), "XDG_CACHE_HOME": str(folder / "cache"), "BROWSER": str(browser),
        "CARDIO_BRIDGE_FILE": str(folder / "bridge.toml"), "HOME": str(folder),
    }  # fmt: skip
    return subprocess.run(
        [*bridge_of(CLERK, *before), "open", "--address", f"http://127.0.0.1:{port}", *words],
        env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def was_up(folder: Path) -> tuple[int, str]:
    """A bridge that was there and is not any more: its port, and its owner's token."""
    with bridge_run_by(CLERK, folder, SETTINGS.format(port=0)) as bridge:
        opened = opens(folder, port_of(bridge))
        link = (folder / "cache" / "link").read_text()
        assert opened.returncode == 0 and re.match(rf"http://127(\.\d+){{3}}:{port_of(bridge)}/", link)
        (folder / "cache" / "link").unlink()
        return port_of(bridge), bridge.token


def port_of(bridge: BridgeProcess) -> int:
    return int(bridge.address.rpartition(":")[2])


_HIDDEN = ("unshare", "--mount", "sh", "-c", 'mount -t proc -o hidepid=2 proc /proc && exec "$@"', "sh")


@pytest.mark.parametrize("before", [(), _HIDDEN], ids=["proc", "hidepid"])
@pytest.mark.parametrize("words", [(), ("kiosk", "--print"), ("--json",)], ids=["icon", "kiosk", "json"])
def test_no_page_is_opened_from_another_users_program(
    home: Path, before: tuple[str, ...], words: tuple[str, ...]
) -> None:
    port, token = was_up(home)
    with doing(OTHER, {"do": "squat", "port": port}) as squatter:
        assert squatter.began == "listens"
        told = opens(home, port, *words, before=before)
        assert told.returncode == 77
        assert f"端口 {port} 由用户 {OTHER} 的程序占用" in told.stdout + told.stderr
        assert "#ticket=" not in told.stdout + told.stderr and not (home / "cache" / "link").exists()
        seen = squatter.end()
    assert seen and all(one.startswith("GET /v1/hello?") and token not in one for one in seen if one), seen


def test_a_link_is_made_for_one_named_user_only(home: Path) -> None:
    with bridge_run_by(CLERK, home, SETTINGS.format(port=0)) as bridge:
        told = opens(home, port_of(bridge), "--print", "--for", "no-such-user")
        assert told.returncode == 64 or (told.returncode == 2 and "no-such-user" in told.stderr)
        link = opens(home, port_of(bridge), "kiosk", "--print", "--for", str(OTHER)).stdout.strip()
        spend = (
            "import json, sys, urllib.request, urllib.error\n"
            "place, ticket = sys.argv[1:]\n"
            "asked = urllib.request.Request(place + '/v1/pages/session', json.dumps({'ticket': ticket}).encode(),\n"
            "    {'Content-Type': 'application/json', 'Origin': place})\n"
            "try:\n    print(urllib.request.urlopen(asked).status)\n"
            "except urllib.error.HTTPError as error:\n    print(error.code)\n"
        )
        page, _, ticket = link.partition("#ticket=")
        place = page.removesuffix("/kiosk")
        statuses = []
        for user in (CLERK, 2003, OTHER, OTHER):
            words = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "/usr/bin/python3", "-c", spend]
            done = subprocess.run([*words, place, ticket], capture_output=True, text=True, check=True)
            statuses.append(done.stdout.strip())
        assert statuses == ["401", "401", "200", "401"]
