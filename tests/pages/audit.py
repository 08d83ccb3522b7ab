"""Where the packages that judge pages are locked: axe-core and Lighthouse."""

from __future__ import annotations

from pathlib import Path

NODE = Path(__file__).parent / "node"
AUDIT = "audit"
