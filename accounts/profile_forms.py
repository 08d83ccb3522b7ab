"""The forms of profile and organization."""

from __future__ import annotations

from django import forms

from accounts.models import Organization, User


class ProfileForm(forms.Form):
    """How a person is shown."""

    name = forms.CharField(
        required=False,
        max_length=120,
        label="Name",
        help_text="Shown to the members of your organization instead of your email address.",
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )

    @classmethod
    def of(cls, user: User) -> ProfileForm:
        """Return the form that shows what is set."""
        return cls(initial={"name": user.name})


class OrganizationForm(forms.Form):
    """What an organization is called."""

    name = forms.CharField(
        max_length=120,
        label="Name",
        help_text="Shown on these pages and in mails; on invoices where the billing details name nobody else.",
        widget=forms.TextInput(attrs={"autocomplete": "organization"}),
    )

    def clean_name(self) -> str:
        """Refuse a name of spaces."""
        name = " ".join(str(self.cleaned_data["name"]).split())
        if not name:
            raise forms.ValidationError("Enter a name.")
        return name

    @classmethod
    def of(cls, organization: Organization) -> OrganizationForm:
        """Return the form that shows what is set."""
        return cls(initial={"name": organization.name})
