"""A fake Stripe in a process of its own."""

from __future__ import annotations

import re
from pathlib import Path

from tests.live.programs import Program, wait_until

_SERVING = re.compile(r"serving on (http://\S+)")


class LiveStripe:
    """One running fake, and what the product must be told to speak to it."""

    def __init__(self, log: Path) -> None:
        self.program = Program(["-m", "fastanchor.local.fakestripe", "--port", "0"], log=log)
        wait_until(self._is_serving, what="the fake Stripe serves")
        self.base_url: str = _SERVING.findall(self.program.output())[-1]
        self.environment = {"STRIPE_API_BASE": self.base_url, "STRIPE_SECRET_KEY": "sk_test_of_the_tests"}

    def stop(self) -> None:
        """End it."""
        self.program.stop()

    def _is_serving(self) -> bool:
        if not self.program.is_running():
            raise RuntimeError(self.program.output())
        return bool(_SERVING.search(self.program.output()))
