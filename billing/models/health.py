"""How well requests are served, over all organizations: sums by model and time that name nobody."""

from __future__ import annotations

from django.db import models

from fastanchor.lib.histogram_field import HistogramField


class Health(models.Model):
    """How the requests for one model went in one hour or one day (UTC)."""

    period = models.PositiveBigIntegerField(help_text="YYYYMMDDHH or YYYYMMDD of the requests' start.")
    provider_id = models.CharField(max_length=80)
    model_id = models.CharField(max_length=200)
    served = models.PositiveBigIntegerField(default=0)
    failed = models.PositiveBigIntegerField(default=0)
    first_token = HistogramField(default=dict, help_text="Streams by the time to their first token.")
    whole = HistogramField(default=dict, help_text="Whole answers by their duration.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["period", "provider_id", "model_id"], name="health_once_a_period"
            ),
        ]
        indexes = [models.Index(fields=["model_id", "period"], name="health_by_model")]

    def __str__(self) -> str:
        return f"{self.model_id} in {self.period}"
