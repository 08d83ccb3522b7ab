"""Recorded traffic of real providers, where it lies beside the checkout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[4] / "shared" / "recordings"
needed = pytest.mark.skipif(not FOLDER.is_dir(), reason="no folder with recorded provider traffic")


def recorded(pattern: str) -> list[Any]:
    """Return the recordings whose path matches, each as a parameter named for its file."""
    return [
        pytest.param(json.loads(path.read_bytes()), id=path.name) for path in sorted(FOLDER.glob(pattern))
    ]
