"""The forms of notifications and privacy."""

from __future__ import annotations

from collections.abc import Mapping

from django import forms
from django.conf import settings

from accounts.kept_contents import CHOICES
from accounts.models import MailKind

_HELP = {
    MailKind.LOW_BALANCE: "When the balance of your organization falls below the amount that is set under Billing.",
    MailKind.BUDGET: "When 80 % of a budget is spent, and when it is used up.",
    MailKind.PAYMENT: "When an automatic top-up was switched off, and what else happens to payments.",
    MailKind.NEWS: "New models and features, a few times a year. Only if you ask for it.",
}


class MailForm(forms.Form):
    """Which kinds of mail a member wants: a check mark each."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type] # passed on as they are
        for kind in MailKind:
            self.fields[kind.value] = forms.BooleanField(
                required=False, label=kind.label, help_text=_HELP[kind]
            )

    @classmethod
    def of(cls, wanted: Mapping[MailKind, bool]) -> MailForm:
        """Return the form that shows what is set."""
        return cls(initial={kind.value: is_wanted for kind, is_wanted in wanted.items()})

    def wanted(self) -> dict[MailKind, bool]:
        """Return what was ticked; the form must be valid."""
        return {kind: self.cleaned_data[kind.value] for kind in MailKind}


class RetentionForm(forms.Form):
    """For how many days responses are kept."""

    days = forms.TypedChoiceField(
        coerce=int,
        label="Keep stored responses for",
        help_text="A shorter time also ends those that are older already, at once.",
    )

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type] # passed on as they are
        most: int = settings.RESPONSES_DAYS
        offered = sorted({*(days for days in (1, 3, 7, 14, 30) if days < most), most})
        self.fields["days"].choices = [(days, _span(days)) for days in offered]  # type: ignore[attr-defined] # a choice field's


def _span(days: int) -> str:
    return f"{days} day{'' if days == 1 else 's'}" if days else "Not kept"


class ContentsForm(forms.Form):
    """For how many days prompts and answers are kept, if at all."""

    prefix = "contents"
    days = forms.TypedChoiceField(
        coerce=int,
        label="Keep prompts and answers for",
        choices=[(days, _span(days)) for days in CHOICES],
        help_text="Everybody in the organization can read them on the page of each request. A shorter time also ends those "
        "that are older already, at once.",
    )
