"""Files that are one user's alone: what is taken for one, and what a planted link or a wide mode is answered with."""

from __future__ import annotations

import grp
import os
import pwd
import stat
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cardio.config.private_file import (
    check_private,
    check_tls_key,
    create_private,
    prepare_database,
    prepare_private,
    read_own,
    read_private,
    require_unmoved,
    write_private,
)
from cardio.errors import ConfigurationError
from cardio.security.settings import SecuritySettings
from service.app import create_app
from service.gate.grants import Grants
from service.gate.policy import Access
from service.gate.scopes import DEFAULT_SCOPES, Scope
from service.server import BridgeServer
from service.settings import BridgeSettings, Network

WHAT = ("文件", "file")


def read(path: Path) -> str:
    return read_private(path, *WHAT, limit=100)


def private(path: Path, text: str = "a secret") -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return path


def a_link(folder: Path) -> Path:
    (folder / "it").symlink_to(private(folder / "target"))
    return folder / "it"


def a_link_to_nowhere(folder: Path) -> Path:
    (folder / "it").symlink_to(folder / "target")
    return folder / "it"


def a_second_name(folder: Path) -> Path:
    (folder / "it").hardlink_to(private(folder / "target"))
    return folder / "it"


def a_wide_one(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    private(folder / "it").chmod(0o604)
    return folder / "it"


def one_of_the_group(folder: Path) -> Path:
    private(folder / "it").chmod(0o620)
    return folder / "it"


def one_of_another_user(folder: Path) -> Path:
    os.chown(private(folder / "it"), 2002, 2002)
    return folder / "it"


def a_pipe(folder: Path) -> Path:
    os.mkfifo(folder / "it", 0o600)
    return folder / "it"


def a_folder(folder: Path) -> Path:
    (folder / "it").mkdir(0o700)
    return folder / "it"


PLANTED = [
    a_link,
    a_link_to_nowhere,
    a_second_name,
    a_wide_one,
    one_of_the_group,
    one_of_another_user,
    a_pipe,
    a_folder,
]


@pytest.fixture(params=PLANTED, ids=lambda maker: str(maker.__name__))
def planted(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """Something that is no private file; neither it nor what it leads to is changed by the test."""
    maker: Callable[[Path], Path] = request.param
    path = maker(tmp_path)
    before = _everything_in(tmp_path)
    yield path
    assert _everything_in(tmp_path) == before


def _everything_in(folder: Path) -> list[tuple[str, int, int, int, bytes]]:
    found = []
    for path in sorted(folder.iterdir()):
        about = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(about.st_mode) else b""
        found.append((path.name, about.st_mode, about.st_uid, about.st_nlink, content))
    return found


def test_what_is_no_private_file_is_not_read(planted: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(planted)
    assert str(planted) in caught.value.detail and "a secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("plant", "said"),
    [(a_link, "符号链接"), (a_link_to_nowhere, "符号链接"), (a_folder, "普通文件"), (a_pipe, "普通文件")],
)
def test_what_it_is_instead_is_said_in_words(tmp_path: Path, plant: Callable[[Path], Path], said: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        read(plant(tmp_path))
    assert said in raised.value.detail and "Errno" not in raised.value.detail


def test_it_is_not_taken_for_a_database(planted: Path) -> None:
    with pytest.raises(ConfigurationError):
        prepare_database(planted, *WHAT)


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
@pytest.mark.parametrize("plant", [a_link, a_link_to_nowhere, a_wide_one, a_second_name])
def test_nor_is_a_database_beside_which_it_lies(tmp_path: Path, plant: Callable[[Path], Path], suffix: str) -> None:
    plant(tmp_path).rename(tmp_path / f"base{suffix}")
    with pytest.raises(ConfigurationError):
        prepare_database(tmp_path / "base", *WHAT)


def test_it_is_not_filled(planted: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        create_private(planted, "text", *WHAT)
    assert str(planted) in caught.value.detail


@pytest.mark.parametrize("plant", [a_link, a_link_to_nowhere, a_second_name, a_wide_one])
def test_a_file_that_is_written_anew_takes_the_place_of_the_link(tmp_path: Path, plant: Callable[[Path], Path]) -> None:
    path = plant(tmp_path)
    write_private(path, "new")
    assert read(path) == "new" and path.lstat().st_nlink == 1
    target = tmp_path / "target"
    assert not target.exists() or target.read_text() == "a secret"


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_what_is_made_is_0600_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        create_private(tmp_path / "deep" / "deeper" / "a" / "token", "text", *WHAT)
        prepare_database(tmp_path / "b" / "base", *WHAT)
        write_private(tmp_path / "c" / "file", "text")
    finally:
        os.umask(before)
    for path in (tmp_path / "deep" / "deeper" / "a" / "token", tmp_path / "b" / "base", tmp_path / "c" / "file"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        above = [folder for folder in path.parents if folder.is_relative_to(tmp_path) and folder != tmp_path]
        assert {stat.S_IMODE(folder.stat().st_mode) for folder in above} == {0o700}
        check_private(path, *WHAT)


def test_the_folders_of_grants_are_made_for_their_user_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        Grants("T" * 43, DEFAULT_SCOPES, tmp_path / "one" / "two" / "grants.json").add(
            "program", None, "x", [Scope.BASIC]
        )
    finally:
        os.umask(before)
    for folder in (tmp_path / "one", tmp_path / "one" / "two"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_file_that_is_there_is_not_made_again(tmp_path: Path) -> None:
    path = private(tmp_path / "token", "the first")
    create_private(path, "the second", *WHAT)
    assert read(path) == "the first"
    path.chmod(0o400)
    create_private(path, "the second", *WHAT)
    assert read(path) == "the first"


def test_of_many_that_make_it_at_once_one_does(tmp_path: Path) -> None:
    path, seen, together = tmp_path / "token", [], threading.Barrier(8)

    def start(number: int) -> None:
        together.wait()
        create_private(path, f"token {number}", *WHAT)
        seen.append(read(path))

    threads = [threading.Thread(target=start, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8 and len(set(seen)) == 1 and seen[0].startswith("token ")


def test_a_file_that_is_exchanged_while_it_is_opened_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "base"
    before = prepare_database(path, *WHAT)
    require_unmoved(path, before, *WHAT)
    path.unlink()
    with pytest.raises(ConfigurationError):
        require_unmoved(path, before, *WHAT)
    before = prepare_database(path, *WHAT)
    os.replace(private(tmp_path / "another"), path)
    with pytest.raises(ConfigurationError):
        require_unmoved(path, before, *WHAT)


# -- settings that others may read, and a TLS key ------------------------------------------------------


def settings(path: Path, *, secret: bool = False) -> str:
    return read_own(path, *WHAT, is_secret=lambda text: secret)


def test_settings_may_be_read_by_others_and_be_linked(tmp_path: Path) -> None:
    path = private(tmp_path / "settings.toml", "sam = 1")
    path.chmod(0o644)
    (tmp_path / "link.toml").symlink_to(path)
    assert settings(path) == settings(tmp_path / "link.toml") == "sam = 1"


@pytest.mark.parametrize("mode", [0o646, 0o602, 0o666])
def test_settings_that_others_may_write_are_not_taken(tmp_path: Path, mode: int) -> None:
    path = private(tmp_path / "settings.toml")
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match="chmod go-w"):
        settings(path)


def test_a_group_may_write_settings_only_where_it_is_this_users_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where each user has a group of that name the umask may be 002; a primary group `users` has many members."""
    path = private(tmp_path / "settings.toml", "sam = 1")
    path.chmod(0o664)
    account = pwd.getpwuid(os.getuid())

    def group(name: str, *members: str) -> None:
        of_file = grp.struct_group((name, "x", account.pw_gid, list(members)))
        monkeypatch.setattr("grp.getgrgid", lambda number: of_file)

    group(account.pw_name, account.pw_name)
    assert settings(path) == "sam = 1"
    for name, members in (("users", []), (account.pw_name, ["a-colleague"])):
        group(name, *members)
        with pytest.raises(ConfigurationError, match="chmod go-w"):
            settings(path)


def test_settings_that_an_access_control_list_opens_are_not_taken(tmp_path: Path) -> None:
    """Of such a file the group's bits say what the list's users may do: they are not the group's."""
    path = private(tmp_path / "settings.toml", "sam = 1")
    # acl(5), struct posix_acl_xattr_entry: tag, rights, number. The owner, user 2002, the group, the mask, others.
    entries = [(1, 6, 0xFFFFFFFF), (2, 6, 2002), (4, 4, 0xFFFFFFFF), (16, 6, 0xFFFFFFFF), (32, 4, 0xFFFFFFFF)]
    os.setxattr(
        path, "system.posix_acl_access", struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *one) for one in entries)
    )
    assert path.stat().st_mode & 0o777 == 0o664
    with pytest.raises(ConfigurationError, match="chmod go-w"):
        settings(path)
    path.chmod(0o644)
    assert settings(path) == "sam = 1"


@pytest.mark.parametrize("mode", [0o664, 0o646])
def test_the_bridges_settings_that_others_may_write_are_not_taken(
    tmp_path: Path, mode: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They name the users, pages and programs that are let in."""
    path = private(tmp_path / "bridge.toml", "[access]\neverybody = true\n")
    monkeypatch.setenv("CARDIO_BRIDGE_FILE", str(path))
    os.chown(path, -1, 2002)
    assert BridgeSettings.load().access.everybody
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match="chmod go-w"):
        BridgeSettings.load()


def test_the_bridges_settings_of_another_user_are_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = private(tmp_path / "bridge.toml", "[access]\neverybody = true\n")
    path.chmod(0o644)
    os.chown(path, 2002, 2002)
    (tmp_path / "link.toml").symlink_to(path)
    for named in (path, tmp_path / "link.toml"):
        monkeypatch.setenv("CARDIO_BRIDGE_FILE", str(named))
        with pytest.raises(ConfigurationError, match="another user's"):
            BridgeSettings.load()
    monkeypatch.setenv("CARDIO_BRIDGE_FILE", "/dev/null")
    assert not BridgeSettings.load().access.everybody


@pytest.mark.parametrize("plant", [a_pipe, a_folder])
def test_the_bridge_does_not_pass_over_settings_that_are_no_file(
    tmp_path: Path, plant: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would run without what they say, a limit for debits among it."""
    monkeypatch.setenv("CARDIO_BRIDGE_FILE", str(plant(tmp_path)))
    with pytest.raises(ConfigurationError, match="no regular file"):
        BridgeSettings.load()


@pytest.mark.parametrize("plant", [one_of_another_user, a_pipe, a_folder])
def test_settings_of_another_user_or_that_are_no_file_are_not_taken(
    tmp_path: Path, plant: Callable[[Path], Path]
) -> None:
    (tmp_path / "link").symlink_to(plant(tmp_path))
    for path in (tmp_path / "it", tmp_path / "link"):
        with pytest.raises((ConfigurationError, IsADirectoryError)):
            settings(path)


def test_settings_with_a_secret_are_a_private_file(tmp_path: Path) -> None:
    path = private(tmp_path / "settings.toml", "a secret")
    assert settings(path, secret=True) == "a secret"
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(ConfigurationError):
        settings(tmp_path / "link", secret=True)
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match="chmod 600") as caught:
        settings(path, secret=True)
    assert "a secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("sam", "taken"),
    [
        ("hsm:https://desk:word@hsm.example", False),
        ("psam:1,hsm:https://desk@hsm.example/x", False),
        ("hsm:https://hsm.example/at@", True),
        ("psam:Slot 2", True),
    ],
)
def test_an_address_with_a_password_makes_the_settings_of_keys_a_secret(tmp_path: Path, sam: str, taken: bool) -> None:
    path = private(tmp_path / "security.toml", f'sam = "{sam}"')
    assert SecuritySettings.load(path).sam == sam
    path.chmod(0o644)
    if taken:
        assert SecuritySettings.load(path).sam == sam
    else:
        with pytest.raises(ConfigurationError, match="chmod 600") as caught:
            SecuritySettings.load(path)
        assert "word" not in str(caught.value)


def test_a_tls_key_is_private_or_roots_for_one_group(tmp_path: Path) -> None:
    path = private(tmp_path / "key.pem")
    check_tls_key(path)
    path.chmod(0o640)  # as Debian's ssl-cert has it
    check_tls_key(path)
    for mode in (0o644, 0o660, 0o604):
        path.chmod(mode)
        with pytest.raises(ConfigurationError):
            check_tls_key(path)
    path.chmod(0o600)
    os.chown(path, 2002, 2002)
    with pytest.raises(ConfigurationError):
        check_tls_key(path)
    for missing in (tmp_path / "nowhere", a_link(tmp_path)):
        with pytest.raises(ConfigurationError):
            check_tls_key(missing)


def test_the_bridge_does_not_serve_with_a_key_that_others_may_read(tmp_path: Path) -> None:
    key = private(tmp_path / "key.pem")
    key.chmod(0o644)
    network = Network(listen=["127.0.0.2"], certificate=tmp_path / "certificate.pem", key=key)
    with pytest.raises(ConfigurationError, match="TLS"):
        BridgeServer(create_app([]), Access.for_port(0, "T" * 43), network)


def test_typed_lines_go_into_a_private_file_only(planted: Path) -> None:
    with pytest.raises(ConfigurationError):
        prepare_private(planted, *WHAT)


@pytest.mark.parametrize("plant", [a_link, a_link_to_nowhere, a_second_name, one_of_another_user])
def test_only_a_file_of_ones_own_is_narrowed(tmp_path: Path, plant: Callable[[Path], Path]) -> None:
    path = plant(tmp_path)
    target = path.resolve()
    if target.exists():
        target.chmod(0o666)
    with pytest.raises(ConfigurationError):
        prepare_private(path, *WHAT, narrow=True)
    assert not target.exists() or stat.S_IMODE(target.stat().st_mode) == 0o666
    prepare_private(a_wide_one(tmp_path / "other"), *WHAT, narrow=True)
    assert stat.S_IMODE((tmp_path / "other" / "it").stat().st_mode) == 0o600
