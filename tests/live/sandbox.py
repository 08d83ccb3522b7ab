"""A sandbox provider in a process of its own, and what it was asked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx2

from tests.live.programs import Program, wait_until

_SERVING = re.compile(r"serving on (http://\S+/v1)")
# Where each protocol stands below the sandbox's address, as the base URL of a channel that speaks it.
PATHS = {
    "openai": "/v1",
    "openai_responses": "/v1",
    "anthropic": "/anthropic/v1",
    "gemini": "/gemini/v1beta",
    "deepseek": "/deepseek",
    "qwen": "/qwen/v1",
}
# No developer needs a channel of these: staff deploys models there, and Mistral speaks the common protocol.
OTHER_PATHS = {
    "mistral": "/mistral/v1",
    "azure": "/azure/openai/v1",
    "vertex": "/vertex/v1/projects/sandbox/locations/global",
    "bedrock": "/bedrock",
}


class LiveSandbox:
    """One running sandbox; answers without pauses unless a directive orders them."""

    def __init__(
        self, log: Path, *, options: tuple[str, ...] = ("--first-ms", "0", "--delay-ms", "0")
    ) -> None:
        self.program = Program(["-m", "fastanchor.local.sandbox", "--port", "0", *options], log=log)
        wait_until(self._is_serving, what="the sandbox serves")
        self.base_url: str = _SERVING.findall(self.program.output())[-1]
        self.http = httpx2.Client(base_url=self.base_url.removesuffix("/v1"), timeout=30)

    def base_url_of(self, protocol: str) -> str:
        """Return the base URL of a channel that speaks a protocol, or a provider's dialect."""
        return self.base_url.removesuffix("/v1") + (PATHS | OTHER_PATHS)[protocol]

    def log(self, nonce: str | None = None) -> list[dict[str, Any]]:
        """Return what it was asked, oldest first; with ``nonce`` also bodies and headers."""
        query = {} if nonce is None else {"nonce": nonce}
        return list(self.http.get("/__log", params=query).raise_for_status().json())

    def fail(self, status: int, *, count: int = 1, retry_after: int | None = None) -> None:
        """Refuse the next ``count`` requests, or with -1 all until ``reset``."""
        order = {"status": status, "count": count, "retry_after": retry_after}
        self.http.post("/__fail", json=order).raise_for_status()

    def reset(self) -> None:
        """Forget the log and every failure."""
        self.http.post("/__reset").raise_for_status()

    def stop(self) -> None:
        """End it."""
        self.http.close()
        self.program.stop()

    def _is_serving(self) -> bool:
        if not self.program.is_running():
            raise RuntimeError(self.program.output())
        return bool(_SERVING.search(self.program.output()))
