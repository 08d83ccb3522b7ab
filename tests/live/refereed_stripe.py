"""The fake Stripe as a program of its own, watched: what breaks Stripe's document is a line that begins with BROKEN."""

from __future__ import annotations

import sys
from unittest.mock import patch

from fastanchor.local.fakestripe import __main__ as program
from fastanchor.local.fakestripe.app import FakeStripe
from fastanchor.local.fakestripe.delivery import Post
from fastanchor.local.fakestripe.world import World
from tests.fakestripe.referee import Referee

BROKEN = "BROKEN "


class _Loud(Referee):
    """Says at once what it finds."""

    def _add(self, where: str, found: list[str]) -> None:
        super()._add(where, found)
        for each in found:
            sys.stdout.write(f"{BROKEN}{where}: {each}\n")
            sys.stdout.flush()


def _watched(world: World, post: Post) -> Referee:
    return _Loud(FakeStripe(world, post))


if __name__ == "__main__":
    with patch.object(program, "FakeStripe", _watched):
        sys.exit(program.main())
