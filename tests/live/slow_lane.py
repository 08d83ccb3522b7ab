"""The same application without its fast lane: /v1 is answered by Django's own views."""

from __future__ import annotations

from fastanchor import asgi
from fastanchor.asgi import application

vars(asgi)["ENDPOINTS"] = {}

__all__ = ["application"]
