"""What staff types on the pages of prices."""

from __future__ import annotations

from datetime import datetime

from django import forms
from django.utils import timezone

from accounts import reasons


class DecisionForm(forms.Form):
    """A decision on some price proposals."""

    chosen = forms.MultipleChoiceField(
        error_messages={"required": "Tick at least one model."}, widget=forms.MultipleHiddenInput
    )
    effective_at = forms.SplitDateTimeField(
        required=False,
        label="In force from",
        help_text="UTC, date and time. Left empty: from now on, or when the list says where it announces a price.",
        widget=forms.SplitDateTimeWidget(
            date_attrs={"type": "date"}, time_attrs={"type": "time", "step": "1"}
        ),
    )
    reason = reasons.field(max_length=200)

    def __init__(self, data: object = None, *, offered: list[str]) -> None:
        super().__init__(data)  # type: ignore[arg-type]
        self.fields["chosen"].choices = [(each, each) for each in offered]  # type: ignore[attr-defined]

    def clean_effective_at(self) -> datetime | None:
        """Refuse moments that have passed."""
        moment: datetime | None = self.cleaned_data["effective_at"]
        if moment is not None and moment < timezone.now():
            raise forms.ValidationError("A new price must begin now or later.")
        return moment
