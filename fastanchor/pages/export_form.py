"""The form by which people ask for an export of requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from django import forms

from billing.selection import Selection
from fastanchor.pages.selection_form import SelectionForm


class ExportForm(SelectionForm):
    """Which requests, and as what; the stretch of time always has an end, so that the file is about something fixed."""

    file_format = forms.ChoiceField(
        label="Format", choices=[("csv", "CSV"), ("jsonl", "JSON Lines")], initial="csv"
    )

    def __init__(
        self, values: Any, *, keys: Mapping[str, str], models: list[str], first: datetime, **options: Any
    ) -> None:
        super().__init__(values, keys=keys, models=models, **options)
        self.data = {"file_format": "csv", **self.data}
        self._first = first

    def selection(self, *, at: datetime) -> Selection:
        """Return what is meant, from a moment to a moment; nothing was before the first request."""
        found = super().selection(at=at)
        end = min(found.end or at, at)
        start = max(found.start or self._first, self._first)
        return replace(found, start=min(start, end), end=end)
