"""The column of a histogram: counts by bucket in Python, one number in the database."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.db import models

from fastanchor.lib.histogram import packed, unpacked

if TYPE_CHECKING:
    _Field = models.Field[Mapping[int, int], dict[int, int]]
else:
    _Field = models.Field


class HistogramField(_Field):
    """Counts by bucket of ``fastanchor.lib.histogram``, kept packed: SQL adds them with ``+`` and ``sum``."""

    def db_type(self, connection: Any) -> str:
        """Return a number without bounds."""
        return "numeric"

    def from_db_value(self, value: Decimal | None, *_: object) -> dict[int, int] | None:
        """Read the number; ``None`` comes from outer joins."""
        return None if value is None else unpacked(f"{value:f}")

    def get_prep_value(self, value: Mapping[int, int]) -> Decimal:
        """Return the number."""
        return Decimal(packed(value))
