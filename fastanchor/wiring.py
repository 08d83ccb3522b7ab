"""Puts the gateway of one process together: doors, loaders, background tasks. The only dependency injection."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from django.conf import settings
from django.db import close_old_connections

from accounts import kept_contents, keys, stored_responses, tokens
from accounts.archive import Archive, Loaders
from accounts.contents import Contents
from accounts.keyring import Caller, Keyring
from billing import admission, degraded_holds, opening
from billing.holds import Ask, RegisteredHold
from billing.spool import Spool, host_of
from billing.stand_in import AT_ONCE, SteadyHolds
from billing.store import Answer, Mode
from catalog import credential_states, publish
from catalog.snapshot import Catalog, Snapshot
from catalog.verdicts import Refusal, Verdicts
from fastanchor import books, endings
from fastanchor.channel_reports import report_forever
from fastanchor.lib.changes import Watch
from fastanchor.lib.valkey import TurnPipeline, calm_client
from gateway import background, door
from gateway.books import BookLoaders, Books
from gateway.credentials import Credentials
from gateway.health import Health
from gateway.limits import Limits
from gateway.memory import Memory
from gateway.runtime import Deadlines, Gateway
from gateway.upkeep import upkeep
from gateway.upstreams.http import HttpClient

logger = logging.getLogger(__name__)

T = TypeVar("T")
# As many as may wait for PostgreSQL at once; the gateway's own work never does.
LOADERS = 8
RETRY_START_S = 1.0


class Process:
    """One process's gateway and what runs beside it."""

    def __init__(self) -> None:
        self._loaders = ThreadPoolExecutor(LOADERS, thread_name_prefix="loader")
        self._pipeline = TurnPipeline(settings.REDIS_URL, timeout_s=settings.VALKEY_TIMEOUT_S)
        self._watching = calm_client()
        self._verdicts = Verdicts(self._save_refusal)
        self._background: list[asyncio.Task[None]] = []
        spool = Spool.create(settings.SPOOL_DIR)
        self._store = _Store(spool.folder.name, host_of(settings.SPOOL_DIR))
        self._holds = SteadyHolds(self._pipeline, self._open_organization, self._store, on_deaf=self._be_deaf)
        self.gateway = Gateway(
            catalog=Catalog(self._load_catalog),
            keyring=Keyring(self._load_caller, tokens.parse_peppers(settings.API_KEY_PEPPERS)),
            archive=self._archive(),
            contents=Contents(partial(self._run, kept_contents.save), max_bytes=settings.CONTENTS_MAX_BYTES),
            books=self._books(),
            holds=self._holds,
            spool=spool,
            client=HttpClient(
                connect_s=settings.UPSTREAM_CONNECT_S, allow_private=settings.ALLOW_PRIVATE_UPSTREAMS
            ),
            health=Health(),
            deadlines=Deadlines(
                body_s=settings.BODY_S,
                first_token_s=settings.UPSTREAM_FIRST_TOKEN_S,
                thinking_s=settings.UPSTREAM_THINKING_S,
                idle_s=settings.UPSTREAM_IDLE_S,
                whole_s=settings.UPSTREAM_WHOLE_S,
                drain_s=settings.UPSTREAM_DRAIN_S,
                keep_alive_s=settings.KEEP_ALIVE_S,
            ),
            max_body_bytes=settings.MAX_BODY_BYTES,
            memory=Memory(self._pipeline, ring=settings.ARCHIVE_KEYS),
            front=settings.FRONT,
            limits=Limits(processes=settings.GATEWAY_PROCESSES),
            credentials=Credentials(self._verdicts.tell),
            max_running=settings.MAX_RUNNING,
            max_arriving_bytes=settings.MAX_ARRIVING_BYTES,
        )

    async def start(self) -> None:
        """Load the catalog, then open the door; the catalog is asked for until PostgreSQL answers."""
        watch = Watch(
            self._watching,
            {
                "keys": self.gateway.keyring.hear,
                "catalog": self._hear_catalog,
                stored_responses.TOPIC: lambda message: background.hear(self.gateway, message),
                admission.TOPIC: self._hear_admission,
            },
        )
        self._background = [
            asyncio.create_task(watch.run(), name="watch"),
            asyncio.create_task(upkeep(self.gateway), name="upkeep"),
            asyncio.create_task(background.look_after(self.gateway), name="background"),
            asyncio.create_task(self._verdicts.run(), name="verdicts"),
            asyncio.create_task(report_forever(self.gateway, self._watching), name="reports"),
            asyncio.create_task(self._holds.periods.run(), name="holds"),
        ]
        while True:
            try:
                await self.gateway.catalog.refresh()
                break
            except Exception:
                logger.exception("wiring.catalog_not_loaded")
                await asyncio.sleep(RETRY_START_S)
        await self._holds.periods.started()
        door.open_door(self.gateway)
        # What lives now lives for good: the collector need not look at it again.
        gc.collect()
        gc.freeze()

    async def stop(self) -> None:
        """Finish the calls under way, then let go of everything."""
        await self.gateway.drain(endings.patience_s())
        door.open_door(None)
        await self.gateway.abandon()
        for task in self._background:
            task.cancel()
        # Also one that had died of something else must not keep the rest from being closed.
        await asyncio.gather(*self._background, return_exceptions=True)
        await self._pipeline.close()
        await self._watching.aclose()
        await self.gateway.client.close()
        self.gateway.spool.close()
        self._loaders.shutdown(wait=False, cancel_futures=True)
        self._store.close()

    def _be_deaf(self, is_deaf: bool) -> None:  # noqa: FBT001 - a listener
        self.gateway.keyring.be_deaf(is_deaf=is_deaf)

    async def _hear_catalog(self, message: str | None) -> None:
        await self.gateway.catalog.refresh()

    async def _hear_admission(self, message: str | None) -> None:
        self._holds.periods.wake()

    def _archive(self) -> Archive:
        loaders = Loaders(
            save=partial(self._run, stored_responses.save),
            find=partial(self._run, stored_responses.find),
            delete=partial(self._run, stored_responses.delete),
            cancel=partial(self._run, stored_responses.cancel),
            finish=partial(self._run, stored_responses.finish),
            renew=partial(self._run, stored_responses.renew),
        )
        return Archive(loaders, max_bytes=settings.RESPONSES_MAX_BYTES, wait_s=settings.ARCHIVE_WAIT_S)

    def _books(self) -> Books:
        loaders = BookLoaders(
            find=partial(self._run, books.find),
            credit=partial(self._run, books.credit),
            key=partial(self._run, books.key),
        )
        return Books(loaders)

    def _load_catalog(self) -> Coroutine[Any, Any, Snapshot]:
        return self._run(publish.build_snapshot)

    def _save_refusal(self, refusal: Refusal) -> Coroutine[Any, Any, bool]:
        return self._run(credential_states.refuse_credential, refusal)

    def _load_caller(self, digests: list[bytes]) -> Coroutine[Any, Any, Caller | None]:
        return self._run(keys.load_caller, digests)

    def _open_organization(self, organization_id: str) -> Coroutine[Any, Any, str]:
        return self._run(opening.open_organization, organization_id)

    async def _run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a function that uses the ORM in a loader thread."""
        return await _in_thread(self._loaders, function, *arguments)


class _Store:
    """PostgreSQL as ``billing.stand_in`` wants it: threads of its own, so that no other wait delays a hold."""

    def __init__(self, spool: str, host: str) -> None:
        self._spool, self._host = spool, host
        # One beats; the others are for those that PostgreSQL does not let go.
        self._beats = ThreadPoolExecutor(4, thread_name_prefix="beat")
        self._places = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="place")

    async def beat(self, facts: dict[str, int | bool]) -> Mode:
        return await _in_thread(self._beats, admission.beat, self._spool, self._host, facts)

    async def enter(self, period: int) -> None:
        await _in_thread(self._beats, admission.enter, period)

    async def leave(self, period: int) -> None:
        await _in_thread(self._beats, admission.leave, period)

    async def follow(self, period: int, running: Sequence[RegisteredHold]) -> None:
        await _in_thread(self._beats, admission.follow, self._spool, period, running)

    async def place(self, period: int, ask: Ask, ended: Sequence[str]) -> Answer | None:
        return await _in_thread(self._places, degraded_holds.place, period, self._spool, ask, ended)

    async def extend(self, period: int, ask: Ask, tokens: int) -> tuple[int, int] | None:
        return await _in_thread(self._places, degraded_holds.extend, period, ask, tokens)

    async def release(self, request_ids: Sequence[str], ended: Sequence[str]) -> None:
        await _in_thread(self._beats, degraded_holds.release, request_ids, ended)

    def close(self) -> None:
        """Let go of the threads."""
        for pool in (self._beats, self._places):
            pool.shutdown(wait=False, cancel_futures=True)


async def _in_thread(pool: ThreadPoolExecutor, function: Callable[..., T], *arguments: Any) -> T:
    return await asyncio.get_running_loop().run_in_executor(pool, _with_connection, function, *arguments)


def _with_connection(function: Callable[..., T], *arguments: Any) -> T:
    close_old_connections()
    try:
        return function(*arguments)
    finally:
        close_old_connections()
