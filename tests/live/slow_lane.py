"""The same application without its fast lane: /v1 is answered by Django's own views."""

from __future__ import annotations

from fastanchor import asgi

asgi.HOT_PATHS = frozenset()
application = asgi.application
