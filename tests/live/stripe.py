"""A fake Stripe in a process of its own, watched by the referee."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx2

from tests.live.programs import Program, wait_until
from tests.live.refereed_stripe import BROKEN

_SERVING = re.compile(r"serving on (http://\S+)")


class LiveStripe:
    """One running fake, and what the product must be told to speak to it."""

    def __init__(self, log: Path) -> None:
        self.program = Program(["-m", "tests.live.refereed_stripe", "--port", "0"], log=log)
        wait_until(self._is_serving, what="the fake Stripe serves")
        self.base_url: str = _SERVING.findall(self.program.output())[-1]
        self.environment = {"STRIPE_API_BASE": self.base_url, "STRIPE_SECRET_KEY": "sk_test_of_the_tests"}

    def order(self, path: str, told: Any) -> None:
        """Give the fake an order, such as ``order("clock", {"advance_s": 60})``."""
        assert httpx2.post(f"{self.base_url}/_control/{path}", json=told).status_code == 200

    def stop(self) -> None:
        """End it; what has broken Stripe's document fails the test."""
        self.program.stop()
        broken = [line for line in self.program.output().splitlines() if line.startswith(BROKEN)]
        assert broken == []

    def _is_serving(self) -> bool:
        if not self.program.is_running():
            raise RuntimeError(self.program.output())
        return bool(_SERVING.search(self.program.output()))
