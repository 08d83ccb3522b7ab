"""The filters of the log: the form, and the chips by which each of them is taken off again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import forms
from django.http import QueryDict

from billing.request_log import Order
from billing.selection import Ending
from fastanchor.pages.selection_form import DEFAULT_RANGE, RANGES, SelectionForm

# Where a page begins; a page of other filters begins at the top.
PLACES = ("before", "after")


class LogForm(SelectionForm):
    """Which requests, and in which order."""

    sort = forms.ChoiceField(label="Order", required=False, choices=Order.choices)

    @property
    def primary(self) -> list[forms.BoundField]:
        """The fields that are always seen."""
        return [*super().primary, self["sort"]]

    @property
    def order(self) -> Order:
        """What comes first; call it for a valid form."""
        return Order(self.cleaned_data["sort"] or Order.NEWEST)


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter that is on, in words, and the address of the log without it."""

    words: str
    without: str


def chips(form: LogForm, query: QueryDict) -> list[Chip]:
    """Return the filters that are on; call it for a valid form."""
    found, chips = form.cleaned_data, []
    for names, words in _words(form, found):
        if words:
            rest = query.copy()
            for name in (*names, *PLACES):
                rest.pop(name, None)
            chips.append(Chip(words, f"?{rest.urlencode()}"))
    return chips


def _words(form: LogForm, found: dict[str, Any]) -> list[tuple[tuple[str, ...], str]]:
    zone = found["zone"].key
    return [
        (("range",), _range(form)),
        (("since",), f"From {found['since']:%Y-%m-%d %H:%M} {zone}" if found["since"] else ""),
        (("until",), f"Before {found['until']:%Y-%m-%d %H:%M} {zone}" if found["until"] else ""),
        (("key",), f"Key: {_choice(form, 'key')}" if found["key"] else ""),
        (("model",), f"Model: {found['model']}" if found["model"] else ""),
        (("outcome",), Ending(found["outcome"]).label if found["outcome"] else ""),
        (("least",), f"At least ${form.data['least']}" if found["least"] is not None else ""),
        (("most",), f"At most ${form.data['most']}" if found["most"] is not None else ""),
        (("stream",), _choice(form, "stream") if found["stream"] else ""),
        (("sort",), Order.DEAREST.label if found["sort"] == Order.DEAREST else ""),
    ]


def _range(form: LogForm) -> str:
    code = form.cleaned_data["range"] or DEFAULT_RANGE
    return "" if code == DEFAULT_RANGE or form.has_times else RANGES[code][0]


def _choice(form: LogForm, name: str) -> str:
    widget = form.fields[name].widget
    assert isinstance(widget, forms.Select)
    return next(str(words) for value, words in widget.choices if value == form.cleaned_data[name])
