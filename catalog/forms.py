"""Forms of the admin: write-only credentials, tiers that make a price, lists as checkboxes."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.admin.helpers import ActionForm
from django.forms.models import BaseInlineFormSet
from django.utils import timezone

from catalog.addresses import BadAddress
from catalog.channels import checked_base_url
from catalog.credentials import BadCredential, checked_credential, main_credential
from catalog.models import Capability, CatalogModel, Channel, Credential, Modality, Price, PriceTier, Trait
from catalog.offers import micro_usd
from catalog.publish import tier_of
from catalog.snapshot import Tier
from catalog.tiers import BadTiers, check_tiers

if TYPE_CHECKING:
    # These are generic for the type checker only.
    _ChannelForm = forms.ModelForm[Channel]
    _CredentialForm = forms.ModelForm[Credential]
    _CatalogModelForm = forms.ModelForm[CatalogModel]
    _PriceForm = forms.ModelForm[Price]
    _TierForm = forms.ModelForm[PriceTier]
    _TierFormSet = BaseInlineFormSet[PriceTier, Price, _TierForm]
else:
    _ChannelForm = _CredentialForm = _CatalogModelForm = _PriceForm = _TierForm = forms.ModelForm
    _TierFormSet = BaseInlineFormSet


class ChannelForm(_ChannelForm):
    """A channel with its credential, which can be set and never read."""

    credential = forms.CharField(
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=(
            "Replaces the first one; left empty, that stays. Bedrock: an API key or ID:SECRET; Vertex AI: an API key or the JSON "
            "of a service account."
        ),
    )

    class Meta:
        model = Channel
        fields = (
            "provider",
            "name",
            "adapter",
            "base_url",
            "weight",
            "priority",
            "follows_catalog",
            "allow_private",
            "requests_per_minute",
            "tokens_per_minute",
            "concurrency",
            "dedicated_to",
        )

    def clean_base_url(self) -> str:
        """Bring a changed address into its normal form and refuse what is not allowed."""
        text: str = self.cleaned_data["base_url"]
        if "base_url" not in self.changed_data:
            return text
        try:
            return checked_base_url(text)
        except BadAddress as exc:
            raise forms.ValidationError(str(exc)) from None

    def clean_credential(self) -> str:
        """Require a usable credential unless there is one already."""
        text: str = self.cleaned_data["credential"]
        if not text and main_credential(self.instance) is not None:
            return ""
        try:
            return checked_credential(text)
        except BadCredential as exc:
            raise forms.ValidationError(str(exc)) from None


class CredentialForm(_CredentialForm):
    """One more credential of a channel: it can be set and never read."""

    secret = forms.CharField(
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="Left empty, the stored one stays. A new one is in service at once.",
    )

    class Meta:
        model = Credential
        fields = ("channel", "name")

    def clean_secret(self) -> str:
        """Require a usable secret unless there is one already."""
        text: str = self.cleaned_data["secret"]
        if not text and self.instance.sealed:
            return ""
        try:
            return checked_credential(text)
        except BadCredential as exc:
            raise forms.ValidationError(str(exc)) from None


class ReasonForm(ActionForm):
    """The list's action bar with room for the reason."""

    reason = forms.CharField(required=False, max_length=200, label="Reason")


class CatalogModelForm(_CatalogModelForm):
    """A model whose lists are ticked, not typed."""

    capabilities = forms.MultipleChoiceField(
        choices=Capability.choices, required=False, widget=forms.CheckboxSelectMultiple
    )
    traits = forms.MultipleChoiceField(
        choices=Trait.choices, required=False, widget=forms.CheckboxSelectMultiple
    )
    input_modalities = forms.MultipleChoiceField(
        choices=Modality.choices, widget=forms.CheckboxSelectMultiple
    )
    output_modalities = forms.MultipleChoiceField(
        choices=Modality.choices, widget=forms.CheckboxSelectMultiple
    )


class PriceForm(_PriceForm):
    """A price that follows the one in force."""

    valid_from = forms.SplitDateTimeField(required=False, help_text="In UTC; left empty, from now on.")

    class Meta:
        model = Price
        fields = ("model", "valid_from")

    def clean_valid_from(self) -> datetime | None:
        """Refuse moments that have passed."""
        moment: datetime | None = self.cleaned_data["valid_from"]
        if moment is not None and moment < timezone.now():
            raise forms.ValidationError("A new price must begin now or later.")
        return moment


class RateField(forms.DecimalField):
    """USD per 1M tokens, typed as people write it and kept as whole micro-USD."""

    def __init__(self, **options: Any) -> None:
        super().__init__(min_value=0, max_digits=15, decimal_places=6, **options)

    def clean(self, value: Any) -> Any:
        """Return whole micro-USD."""
        dollars = super().clean(value)
        return None if dollars is None else micro_usd(dollars)


class TierForm(_TierForm):
    """Rates in USD per 1M tokens; those of pictures, searches, characters and seconds per 1M of them, too."""

    input = RateField()
    cached_input = RateField()
    cache_write = RateField()
    output = RateField()
    cache_write_1h = RateField(required=False, label="Cache write, 1 h")
    audio_input = RateField(required=False)
    cached_audio_input = RateField(required=False)
    audio_output = RateField(required=False)
    image_input = RateField(required=False)
    image = RateField(required=False, label="1M images")
    search = RateField(required=False, label="1M searches")
    character = RateField(required=False, label="1M characters")
    second = RateField(required=False, label="1M seconds")

    class Meta:
        model = PriceTier
        fields = (
            "above_tokens", "during", "input", "cached_input", "cache_write", "output", "cache_write_1h",
            "audio_input", "cached_audio_input", "audio_output", "image_input", "image", "search", "character",
            "second",
        )  # fmt: skip


class TierFormSet(_TierFormSet):
    """The tiers of one price."""

    def clean(self) -> None:
        """Require what a price needs."""
        super().clean()
        if any(self.errors):
            return
        try:
            check_tiers(self.tiers())
        except BadTiers as exc:
            raise forms.ValidationError(str(exc)) from None

    def tiers(self) -> list[Tier]:
        """Return the tiers that were typed in."""
        return [tier_of(form.instance) for form in self.forms if form.has_changed()]
