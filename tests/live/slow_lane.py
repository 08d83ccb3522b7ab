"""The same application without its fast lane: /v1 is answered by Django's own views."""

from __future__ import annotations

from fastanchor.asgi import application
from gateway import app

app.HOT_PATHS = frozenset()

__all__ = ["application"]
