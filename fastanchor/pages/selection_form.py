"""The form by which people say which requests they mean, on the log and where they ask for an export."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.core.exceptions import ValidationError

from billing.selection import Ending, Selection
from fastanchor.lib.money import NotDollars, parse_nanos

DEFAULT_RANGE = "30d"
RANGES = {
    "1h": ("Last hour", timedelta(hours=1)),
    "24h": ("Last 24 hours", timedelta(hours=24)),
    "7d": ("Last 7 days", timedelta(days=7)),
    "30d": ("Last 30 days", timedelta(days=30)),
    "90d": ("Last 90 days", timedelta(days=90)),
    "any": ("Any time", None),
}
_STREAMED = {"yes": True, "no": False}
_TIMES = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"]


class _LocalTime(forms.DateTimeInput):
    """The browser's own field for a date and a time."""

    input_type = "datetime-local"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%dT%H:%M")


class SelectionForm(forms.Form):
    """Time, key, model, outcome, cost, and whether the answer was streamed; nothing is required."""

    range = forms.ChoiceField(
        label="Time", required=False, choices=[(code, words) for code, (words, _) in RANGES.items()]
    )
    key = forms.ChoiceField(label="Key", required=False)
    model = forms.ChoiceField(label="Model", required=False)
    outcome = forms.ChoiceField(
        label="Outcome", required=False, choices=[("", "Any outcome"), *Ending.choices]
    )
    since = forms.DateTimeField(label="From", required=False, input_formats=_TIMES, widget=_LocalTime)
    until = forms.DateTimeField(label="Before", required=False, input_formats=_TIMES, widget=_LocalTime)
    zone = forms.CharField(
        label="Zone of both", required=False, max_length=60, widget=forms.Select(choices=[("UTC", "UTC")])
    )
    least = forms.CharField(label="Cost at least", required=False, max_length=20)
    most = forms.CharField(label="Cost at most", required=False, max_length=20)
    stream = forms.ChoiceField(
        label="Streamed",
        required=False,
        choices=[("", "Streamed or not"), ("yes", "Streamed"), ("no", "Not streamed")],
    )

    def __init__(self, values: Any, *, keys: Mapping[str, str], models: list[str], **options: Any) -> None:
        super().__init__({"range": DEFAULT_RANGE, **_flat(values)}, **options)
        self._offer("key", [("", "All keys"), *keys.items()])
        self._offer("model", [("", "All models"), *((name, name) for name in models)])
        self._show_zone()
        for name in ("least", "most"):
            self.fields[name].widget.attrs |= {"inputmode": "decimal", "placeholder": "0.05"}

    def _offer(self, name: str, choices: list[tuple[str, str]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices

    def _show_zone(self) -> None:
        """Keep the zone that was sent; the script adds the reader's own."""
        sent = str(self.data.get("zone") or "UTC")
        widget = self.fields["zone"].widget
        assert isinstance(widget, forms.Select)
        widget.choices = [(name, name) for name in dict.fromkeys(["UTC", sent])]

    def clean_zone(self) -> ZoneInfo:
        """Read the name of a zone."""
        name = self.cleaned_data["zone"] or "UTC"
        try:
            return ZoneInfo(name)
        except (ValueError, OSError, LookupError):
            raise ValidationError("We do not know this zone. Choose UTC.") from None

    def clean_least(self) -> int | None:
        """Read an amount."""
        return _nanos(self.cleaned_data["least"])

    def clean_most(self) -> int | None:
        """Read an amount."""
        return _nanos(self.cleaned_data["most"])

    def clean(self) -> dict[str, Any]:
        """Read times in their zone, and refuse what nothing can meet."""
        found = self.cleaned_data
        if found.get("zone"):
            for name in ("since", "until"):
                self._place(name, found["zone"])
        if found.get("since") and found.get("until") and found["since"] >= found["until"]:
            self.add_error("until", "The end must come after the beginning.")
        least, most = found.get("least"), found.get("most")
        if least is not None and most is not None and least > most:
            self.add_error("most", "The most must not be less than the least.")
        return found

    def _place(self, name: str, zone: ZoneInfo) -> None:
        """Put a time into its zone; at the ends of all years it may not exist in UTC."""
        if moment := self.cleaned_data.get(name):
            self.cleaned_data[name] = moment = moment.replace(tzinfo=zone)
            try:
                moment.astimezone(UTC)
            except OverflowError:
                self.add_error(name, "Enter a time of this century.")

    @property
    def primary(self) -> list[forms.BoundField]:
        """The fields that are always seen."""
        return [self[name] for name in ("range", "key", "model", "outcome")]

    @property
    def further(self) -> list[forms.BoundField]:
        """The fields that are asked for less."""
        return [self[name] for name in ("since", "until", "zone", "least", "most", "stream")]

    @property
    def has_more(self) -> bool:
        """Tell whether one of the further fields is filled in, or wrong."""
        return any(field.errors or (field.value() and field.name != "zone") for field in self.further)

    @property
    def has_times(self) -> bool:
        """Tell whether moments are given, which count instead of the range."""
        return bool(self.cleaned_data.get("since") or self.cleaned_data.get("until"))

    def selection(self, *, at: datetime) -> Selection:
        """Return what is meant at a moment; call it for a valid form."""
        found = self.cleaned_data
        start, end = _utc(found["since"]), _utc(found["until"])
        if not self.has_times:
            length = RANGES[found["range"] or DEFAULT_RANGE][1]
            start = at - length if length else None
        return Selection(
            start=start,
            end=end,
            key_id=found["key"],
            model_id=found["model"],
            ending=Ending(found["outcome"]) if found["outcome"] else None,
            least_nano=found["least"],
            most_nano=found["most"],
            is_stream=_STREAMED.get(found["stream"]),
        )


def _flat(values: Any) -> dict[str, Any]:
    return {name: values[name] for name in values}


def _utc(moment: datetime | None) -> datetime | None:
    return moment and moment.astimezone(UTC)


def _nanos(text: str) -> int | None:
    if not text:
        return None
    try:
        return parse_nanos(text)
    except NotDollars:
        raise ValidationError("Enter US dollars, such as 0.05.") from None
