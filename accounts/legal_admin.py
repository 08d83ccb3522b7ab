"""Where staff revises legal documents; each save of another text is a new version, and earlier ones stay."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AdminDateWidget
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from accounts import legal
from accounts.audit_admin import Audited
from accounts.models import LegalDocument, LegalVersion, User

if TYPE_CHECKING:
    # These are generic for the type checker only.
    _LegalDocumentForm = forms.ModelForm[LegalDocument]
    _TabularInline = admin.TabularInline[LegalVersion, LegalDocument]
else:
    _LegalDocumentForm, _TabularInline = forms.ModelForm, admin.TabularInline

_TEXT_HELP = (
    "Markdown; HTML is shown as text. {seller}, {address}, {tax_id}, {site} and {responses_days} stand for what the "
    "settings say."
)


class LegalDocumentForm(_LegalDocumentForm):
    """A document with the text of its newest version."""

    text = forms.CharField(widget=forms.Textarea(attrs={"rows": 30, "cols": 110}), help_text=_TEXT_HELP)
    valid_from = forms.DateField(
        widget=AdminDateWidget(),
        help_text="From when the text holds (UTC); a later day announces it, and the version before holds until then.",
    )
    is_draft = forms.BooleanField(
        label="Draft", required=False, help_text="The page says that no lawyer has approved it yet."
    )

    class Meta:
        model = LegalDocument
        fields = ("slug", "title")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        last = legal.newest(self.instance) if self.instance.pk else None
        self.initial["valid_from"] = last.valid_from if last else datetime.now(UTC).date()
        self.initial["text"] = last.text if last else ""
        self.initial["is_draft"] = last is None or last.is_draft

    def clean_text(self) -> str:
        """Take line ends as the text's own, which browsers send in their form."""
        return str(self.cleaned_data["text"]).replace("\r\n", "\n")


class LegalVersionInline(_TabularInline):
    """What a document has said so far, to read."""

    model = LegalVersion
    fields = readonly_fields = ("valid_from", "is_draft", "saved_at", "saved_by", "text")
    ordering = ("-pk",)
    extra = 0
    can_delete = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[LegalVersion]:
        """Fetch those who saved with what they saved."""
        return super().get_queryset(request).select_related("saved_by")

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse: saving the document adds a version."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse: what was public once stays as it was."""
        return False


@admin.register(LegalDocument)
class LegalDocumentAdmin(Audited):
    """Terms, privacy and their like; the page shows what is saved at once."""

    form = LegalDocumentForm
    list_display = ("title", "slug")
    ordering = ("slug",)
    inlines = (LegalVersionInline,)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Keep the address of an existing document."""
        return ("slug",) if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse: customers agreed to it."""
        return False

    def save_model(self, request: HttpRequest, obj: LegalDocument, form: Any, change: Any) -> None:
        """Save the document and, where the text changed, a new version of it."""
        super().save_model(request, obj, form, change)
        entered = {name: form.cleaned_data[name] for name in ("text", "valid_from", "is_draft")}
        legal.revise(document=obj, by=cast("User", request.user), **entered)
