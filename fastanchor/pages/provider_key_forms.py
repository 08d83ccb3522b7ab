"""The forms of an organization's own keys of providers. A key is typed in, and never written into a page again."""

from __future__ import annotations

from collections.abc import Iterable

from django import forms
from django.http import QueryDict

from catalog.models import Channel, OwnKeyUse, Provider

_SECRET = {"autocomplete": "off", "spellcheck": "false"}


def _secret_field(label: str) -> forms.CharField:
    return forms.CharField(
        label=label,
        max_length=500,
        help_text="As the provider shows it. We keep it sealed, send it to that provider only, and never show it again.",
        widget=forms.PasswordInput(attrs=_SECRET),
    )


def _use_field() -> forms.ChoiceField:
    return forms.ChoiceField(
        label="Where it cannot serve",
        choices=[
            (OwnKeyUse.ONLY.value, "Only my key: the request is refused, and nothing is charged here"),
            (OwnKeyUse.FIRST.value, "My key first, then FastAnchor's channels, for credit"),
        ],
        widget=forms.RadioSelect,
    )


class AddForm(forms.Form):
    """A new key."""

    provider = forms.ChoiceField(label="Provider")
    secret = _secret_field("Key")
    use = _use_field()

    def __init__(self, data: QueryDict | None = None, *, providers: Iterable[Provider]) -> None:
        super().__init__(data, initial={"use": OwnKeyUse.ONLY.value})
        field = self.fields["provider"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(provider.pk, provider.name) for provider in providers]


class UseForm(forms.Form):
    """What happens where a key cannot serve."""

    use = _use_field()

    @classmethod
    def of(cls, channel: Channel) -> UseForm:
        """Return the form that shows what is set."""
        return cls(initial={"use": channel.own_key})


class ReplaceForm(forms.Form):
    """Another key in the place of one."""

    secret = _secret_field("New key")
