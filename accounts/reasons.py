"""Why a member of staff changes something: the field that every form of the admin asks for, and how it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.admin.helpers import ActionForm
from django.http import HttpRequest

FIELD = "reason"
LONGEST = 300
MISSING = "Write a reason: it stands in the audit log beside what you change."

if TYPE_CHECKING:
    _ModelForm = forms.ModelForm[Any]
else:
    # Generic for the type checker only.
    _ModelForm = forms.ModelForm


def field(**more: Any) -> forms.CharField:
    """Return the field that asks for a reason; ``more`` is what a form has otherwise."""
    widget = forms.TextInput(attrs={"class": "vTextField", "autocomplete": "off"})
    usual = {"max_length": LONGEST, "label": "Reason", "help_text": "Stands in the audit log for good."}
    return forms.CharField(widget=widget, **{**usual, **more})


class ReasonedForm(_ModelForm):
    """Beside what a row holds, why it is changed."""

    reason = field(error_messages={"required": MISSING})

    @property
    def given_reason(self) -> str:
        """The reason, which is none of the row's own fields."""
        return str(self.cleaned_data.get(FIELD, ""))


class ReasonedActions(ActionForm):
    """The bar of a list's actions with room for the reason."""

    reason = field(required=False, help_text="")


def reasoned(form: type[Any]) -> type[Any]:
    """Return a form with a reason beside the row's own fields."""
    metaclass: Any = type(form)
    made: type[Any] = metaclass(form.__name__, (ReasonedForm, form), {})
    return made


def given(request: HttpRequest) -> str:
    """Return the reason that was sent with a request, or nothing."""
    return request.POST.get(FIELD, "").strip()[:LONGEST]
