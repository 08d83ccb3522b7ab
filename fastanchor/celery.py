"""The Celery application of ``worker`` and ``beat``; the schedule stands in settings.

Tasks only trigger work that is safe to run twice: what must not be lost is a row in PostgreSQL.
"""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fastanchor.settings")

app = Celery("fastanchor")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
