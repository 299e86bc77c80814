"""Who has been let in: tokens of pages and programs, each with its scopes, kept in a file of the owner's own.

The file holds no token, only its SHA-256: a copy of it lets nobody in.
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
"""Kinds that stand in no file: the token file has the first, and a session ends with the bridge's process."""


class Grant(BaseModel):
    """One that is let in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    kind: GrantKind
    origin: str | None
    """The only origin that it counts for; None for programs."""
    name: str
    scopes: frozenset[Scope]
    verifier: str = ""
    """SHA-256 of the token in hex; none for callers of a dialect, who have no token to send."""
    created: datetime


_GRANTS = TypeAdapter(tuple[Grant, ...])


def verifier_of(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


class Grants:
    """All grants; whoever holds one that is revoked is cut off at once (`on_revoked`)."""

    def __init__(self, token: str, scopes: frozenset[Scope], file: Path | None = None) -> None:
        """Args: the token file's token and what it grants; where the others are kept, None for nowhere.

        Raises:
            ConfigurationError: others may read or write the file, or it is damaged.
        """
        self._file = file
        self._lock = threading.Lock()
        """Of what is in memory; nobody waits long for it."""
        self._writing = threading.Lock()
        """Of the file, which may be on a disk that takes its time."""
        self._saving: asyncio.Future[None] | None = None
        """The last writing that was begun from the event loop."""
        local = Grant(
            id=LOCAL, kind="local", origin=None, name="", scopes=scopes, verifier=verifier_of(token),
            created=datetime.now(UTC),
        )  # fmt: skip
        self._grants: dict[str, Grant] = {LOCAL: local} | {grant.id: grant for grant in _load(file)}
        self._by_verifier = {grant.verifier: grant for grant in self._grants.values() if grant.verifier}
        self.last_used: dict[str, datetime] = {}
        self.on_revoked: list[Callable[[str], None]] = []

    def find(self, token: str) -> Grant | None:
        """The grant of a token. It is looked up by its hash, so the time it takes tells nothing of other tokens."""
        return self._used(self._by_verifier.get(verifier_of(token)))

    def get(self, grant_id: str) -> Grant | None:
        return self._grants.get(grant_id)

    @property
    def owner(self) -> Grant:
        """The grant of the token file's token."""
        return self._grants[LOCAL]

    def of_origin(self, origin: str) -> list[Grant]:
        """The grants that pages of an origin have."""
        return [grant for grant in self._grants.values() if grant.origin == origin]

    def all(self) -> list[Grant]:
        return list(self._grants.values())

    def add(self, kind: GrantKind, origin: str | None, name: str, scopes: Iterable[Scope]) -> tuple[Grant, str]:
        """A new grant and its token; callers of a dialect get one that is never sent.

        On the event loop the file is written by another thread: `saved` waits for it, before anybody is answered.

        Raises:
            ConfigurationError: there are too many; or the file cannot be written, then nobody is let in.
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
            self._take_back(grant.id)
            raise
        return grant, token

    async def saved(self, grant_id: str | None = None) -> None:
        """Waits until what was changed is in the file.

        Args: ``grant_id`` is a new grant, which counts for nothing where the file cannot be written.

        Raises:
            ConfigurationError: it cannot.
        """
        if self._saving is None:
            return
        try:
            await asyncio.shield(self._saving)
        except ConfigurationError:
            if grant_id is not None:
                self._take_back(grant_id)
                for tell in self.on_revoked:
                    tell(grant_id)
            raise

    def _take_back(self, grant_id: str) -> None:
        with self._lock:
            grant = self._grants.pop(grant_id, None)
            if grant is not None:
                self._by_verifier.pop(grant.verifier, None)

    def add_session(self, page: str, scopes: Iterable[Scope]) -> tuple[Grant, str]:
        """A grant for the bridge's own pages in one browser, and its token; in memory only."""
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
        """Ends a grant: in memory first, so that it counts for nothing even where the file cannot be written. As `add`
        it leaves the file to another thread on the event loop.

        Raises:
            NoSuchGrantError: there is none, or it is the token file's own (delete that file and start again).
        """
        with self._lock:
            grant = self._grants.get(grant_id)
            if grant is None or grant.id == LOCAL:
                raise NoSuchGrantError()
            del self._grants[grant_id]
            self._by_verifier.pop(grant.verifier, None)
        self.last_used.pop(grant_id, None)
        for tell in self.on_revoked:
            tell(grant_id)
        if grant.kind not in _NOT_KEPT:
            self._save()

    def _used(self, grant: Grant | None) -> Grant | None:
        if grant is not None:
            self.last_used[grant.id] = datetime.now(UTC)
        return grant

    def _save(self) -> None:
        """Writes the file: here, or on another thread where this is an event loop's."""
        if self._file is None:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._write(self._file)
        else:
            self._saving = loop.run_in_executor(None, self._write, self._file)

    def _write(self, file: Path) -> None:
        """What is in memory when it is its turn: whoever writes last writes the newest."""
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
