"""The grants: tokens of pages and programs, each with its scopes, kept in a file that only the owner can read.

The file holds no token, only its SHA-256, so a copy of the file admits no caller.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import secrets
import tempfile
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from cardio.config.private_file import make_folder, read_private
from cardio.errors import ConfigurationError
from service.gate.errors import NoSuchGrantError
from service.gate.scopes import PAGE_SCOPES, Scope

LOCAL = "local"
"""The grant of the token file's token."""
_FILE_LIMIT = 1 << 20
_MOST_GRANTS = 500
GrantKind = Literal["local", "page", "program", "dialect", "session"]
_NOT_KEPT = frozenset({"local", "session"})
"""Kinds that are not kept in the file.

The token file holds the token of ``local``, and a ``session`` ends with the bridge's process.
"""


class Grant(BaseModel):
    """One grant: a caller that is admitted, and its scopes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    kind: GrantKind
    origin: str | None
    """The only origin that the token is valid for; None for programs."""
    name: str
    scopes: frozenset[Scope]
    verifier: str = ""
    """SHA-256 of the token in hex; empty for callers of a dialect, which send no token."""
    created: datetime


_GRANTS = TypeAdapter(tuple[Grant, ...])


def verifier_of(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


class Grants:
    """All grants. When a grant is revoked, `on_revoked` cuts off its callers at once."""

    def __init__(self, token: str, scopes: frozenset[Scope], file: Path | None = None) -> None:
        """Read the grants file.

        Args:
            token: the token of the token file.
            scopes: the scopes that this token grants.
            file: the file of the other grants; None to keep them in memory only.

        Raises:
            ConfigurationError: other users may read or write the file, or it is damaged.
        """
        self._file = file
        self._lock = threading.Lock()
        """The lock of the grants in memory; it is held only briefly."""
        self._writing = threading.Lock()
        """The lock of the file, which may be on a slow disk."""
        self._saving: asyncio.Future[None] | None = None
        """The last write that was started from the event loop."""
        local = Grant(
            id=LOCAL, kind="local", origin=None, name="", scopes=scopes, verifier=verifier_of(token),
            created=datetime.now(UTC),
        )  # fmt: skip
        self._grants: dict[str, Grant] = {LOCAL: local} | {grant.id: grant for grant in _load(file)}
        self._by_verifier = {grant.verifier: grant for grant in self._grants.values() if grant.verifier}
        self.last_used: dict[str, datetime] = {}
        self.on_revoked: list[Callable[[str], None]] = []

    def find(self, token: str) -> Grant | None:
        """Return the grant of a token.

        The lookup is by the token's hash, so its time reveals nothing about other tokens.
        """
        return self._used(self._by_verifier.get(verifier_of(token)))

    def get(self, grant_id: str) -> Grant | None:
        return self._grants.get(grant_id)

    @property
    def owner(self) -> Grant:
        """Return the grant of the token file's token."""
        return self._grants[LOCAL]

    def of_origin(self, origin: str) -> list[Grant]:
        """Return the grants of an origin's pages."""
        return [grant for grant in self._grants.values() if grant.origin == origin]

    def all(self) -> list[Grant]:
        return list(self._grants.values())

    def add(self, kind: GrantKind, origin: str | None, name: str, scopes: Iterable[Scope]) -> tuple[Grant, str]:
        """Add a grant and return it with its token. Callers of a dialect get a token that is never sent.

        On the event loop another thread writes the file. Await `saved` before the caller gets its answer.

        Raises:
            ConfigurationError: there are too many grants, or the file cannot be written; then the grant is not added.
        """
        token = secrets.token_urlsafe(32)
        allowed = frozenset(scopes) & PAGE_SCOPES if origin is not None else frozenset(scopes)
        grant = Grant(
            id=secrets.token_hex(6), kind=kind, origin=origin, name=name, scopes=allowed,
            verifier="" if kind == "dialect" else verifier_of(token), created=datetime.now(UTC),
        )  # fmt: skip
        with self._lock:
            if sum(one.kind != "session" for one in self._grants.values()) >= _MOST_GRANTS:
                raise ConfigurationError("授权过多，请撤销不用的", "there are too many grants: revoke unused ones")
            self._grants[grant.id] = grant
            if grant.verifier:
                self._by_verifier[grant.verifier] = grant
        try:
            self._save()
        except ConfigurationError:
            self._remove(grant.id)
            raise
        return grant, token

    async def saved(self, grant_id: str | None = None) -> None:
        """Wait until the changes are in the file.

        Args:
            grant_id: the id of a new grant, which is removed if the file cannot be written.

        Raises:
            ConfigurationError: the file cannot be written.
        """
        if self._saving is None:
            return
        try:
            await asyncio.shield(self._saving)
        except ConfigurationError:
            if grant_id is not None:
                self._remove(grant_id)
                for notify in self.on_revoked:
                    notify(grant_id)
            raise

    def _remove(self, grant_id: str) -> None:
        with self._lock:
            grant = self._grants.pop(grant_id, None)
            if grant is not None:
                self._by_verifier.pop(grant.verifier, None)

    def add_session(self, page: str, scopes: Iterable[Scope]) -> tuple[Grant, str]:
        """Add a grant for the bridge's own pages in one browser, in memory only; return it with its token."""
        token = secrets.token_urlsafe(32)
        grant = Grant(
            id=secrets.token_hex(6), kind="session", origin=None, name=page, scopes=frozenset(scopes),
            verifier=verifier_of(token), created=datetime.now(UTC),
        )  # fmt: skip
        with self._lock:
            self._grants[grant.id] = grant
            self._by_verifier[grant.verifier] = grant
        return grant, token

    def revoke(self, grant_id: str) -> None:
        """Revoke a grant: in memory first, so that it is invalid even if the file cannot be written.

        On the event loop another thread writes the file, as for `add`.

        Raises:
            NoSuchGrantError: there is no such grant, or it is the token file's own (delete that file and start again).
        """
        with self._lock:
            grant = self._grants.get(grant_id)
            if grant is None or grant.id == LOCAL:
                raise NoSuchGrantError()
            del self._grants[grant_id]
            self._by_verifier.pop(grant.verifier, None)
        self.last_used.pop(grant_id, None)
        for notify in self.on_revoked:
            notify(grant_id)
        if grant.kind not in _NOT_KEPT:
            self._save()

    def _used(self, grant: Grant | None) -> Grant | None:
        if grant is not None:
            self.last_used[grant.id] = datetime.now(UTC)
        return grant

    def _save(self) -> None:
        """Write the file: directly, or on another thread if this runs on an event loop."""
        if self._file is None:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._write(self._file)
        else:
            self._saving = loop.run_in_executor(None, self._write, self._file)

    def _write(self, file: Path) -> None:
        """Write the grants as they are when the lock is taken, so that the last writer writes the newest state."""
        with self._writing:
            with self._lock:
                grants = list(self._grants.values())
            kept = [grant.model_dump(mode="json") for grant in grants if grant.kind not in _NOT_KEPT]
            try:
                make_folder(file.parent)
                handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=".grants-")  # 0600
                with os.fdopen(handle, "w", encoding="utf-8") as stream:
                    json.dump(kept, stream, ensure_ascii=False, indent=1)
                    stream.flush()
                    os.fsync(stream.fileno())
                os.replace(temporary, file)
            except OSError as error:
                raise ConfigurationError(f"授权文件 {file}：{error}", f"grants file {file}: {error}") from error


def _load(file: Path | None) -> tuple[Grant, ...]:
    if file is None or not file.exists():
        return ()
    text = read_private(file, "授权文件", "grants file", limit=_FILE_LIMIT)
    try:
        return tuple(grant for grant in _GRANTS.validate_json(text) if grant.kind not in _NOT_KEPT)
    except ValidationError as error:
        raise ConfigurationError(
            f"授权文件 {file} 已损坏，删除后须重新配对", f"the grants file {file} is damaged: delete it and pair again"
        ) from error
