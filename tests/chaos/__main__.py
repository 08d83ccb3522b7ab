"""``python -m tests.chaos --rounds N --seed S``: run the campaign; exit status 1 and the first broken invariant named."""

from __future__ import annotations

import argparse
import secrets
import shutil
import sys
import tempfile
from pathlib import Path

from tests.chaos.campaign import Broken, Result, run
from tests.chaos.faults import VICTIMS

_SERVED_AGAIN_S = 5.0


def main() -> int:
    """Run the campaign and return the exit status."""
    options = _options()
    sys.stdout.write(f"seed {options.seed}\n")
    folder = Path(tempfile.mkdtemp(prefix="fastanchor-chaos-"))
    try:
        for result in run(
            folder,
            rounds=options.rounds,
            seed=options.seed,
            seconds_per_round=options.seconds_per_round,
            victims=options.victim or VICTIMS,
        ):
            sys.stdout.write(f"{result}\n")
            sys.stdout.flush()
            _judge(result)
    except Broken as exc:
        sys.stdout.write(f"BROKEN {exc}\nseed {options.seed}; logs are in {folder}\n")
        return 1
    shutil.rmtree(folder)
    return 0


def _judge(result: Result) -> None:
    """Be strict about time where nothing else was away; the suite's own rounds are not."""
    if len(result.faults) == 1 and result.unserved_s is not None and result.unserved_s > _SERVED_AGAIN_S:
        raise Broken(
            f"recovery: a customer was served {result.unserved_s:.1f} s after Valkey had forgotten all"
        )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument(
        "--seed", type=int, default=secrets.randbelow(1_000_000), help="the same seed, the same faults"
    )
    parser.add_argument(
        "--seconds-per-round", type=float, default=3.0, help="of load; healing and checks come on top"
    )
    parser.add_argument(
        "--victim", action="append", choices=VICTIMS, help="kill nobody else; may be given several times"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
