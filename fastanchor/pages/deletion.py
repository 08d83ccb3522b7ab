"""Settings: deleting the account, and changing one's mind."""

from __future__ import annotations

from typing import Any

from allauth.account.decorators import reauthentication_required
from django import forms
from django.contrib import auth, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from accounts.access import SignedInRequest, signed_in
from accounts.leaving import Staff
from fastanchor import closing

LATER, NOW = "later", "now"


class DeletionForm(forms.Form):
    """When, and that it is meant."""

    when = forms.ChoiceField(
        label="When",
        choices=[
            (LATER, "In 7 days. Until then a link in a mail cancels it."),
            (NOW, "Now. Nothing cancels it."),
        ],
        widget=forms.RadioSelect,
        initial=LATER,
    )
    gives_up_credit = forms.BooleanField(
        required=False, label="I give up the bought credit that cannot be paid back"
    )
    name = forms.CharField(
        label="Name of the organization", widget=forms.TextInput(attrs={"autocomplete": "off"})
    )

    def __init__(self, *args: Any, wanted: str, needs_consent: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._wanted = wanted
        self.fields["name"].help_text = f"Type “{wanted}” to confirm."
        if not needs_consent:
            del self.fields["gives_up_credit"]

    def clean_name(self) -> str:
        """Compare what was typed with the organization's name."""
        if str(self.cleaned_data["name"]).strip() != self._wanted:
            raise forms.ValidationError(f"This is not its name. Type “{self._wanted}”.")
        return self._wanted


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
@reauthentication_required(allow_get=True)  # type: ignore[untyped-decorator]
def delete_account(request: SignedInRequest) -> HttpResponse:
    """Say what a deletion does, and begin it."""
    seen = closing.outlook(request.user)
    is_sent = request.method == "POST"
    form = DeletionForm(
        request.POST if is_sent else None, wanted=request.organization.name, needs_consent=seen.needs_consent
    )
    if is_sent and form.is_valid() and _ask(request, form):
        return redirect("home" if form.cleaned_data["when"] == NOW else "settings:delete")
    context = {
        "form": form,
        "outlook": seen,
        "closure": closing.of(request.user),
        "is_staff": request.user.is_staff or request.user.is_superuser,
    }
    return render(request, "settings/delete.html", context, status=422 if form.errors else 200)


def _ask(request: SignedInRequest, form: DeletionForm) -> bool:
    is_now = form.cleaned_data["when"] == NOW
    try:
        closing.ask(
            request.user, is_now=is_now, gives_up_credit=form.cleaned_data.get("gives_up_credit", False)
        )
    except closing.Refused as refusal:
        form.add_error(None, " ".join(refusal.why))
    except closing.NeedsConsent:
        # Credit that came while the form was open has brought the question with it: the next page asks it.
        field = "gives_up_credit" if "gives_up_credit" in form.fields else None
        form.add_error(field, "Without it the account cannot be deleted: write to us instead.")
    except Staff:
        form.add_error(None, "Members of staff are removed by other staff.")
    if form.errors:
        return False
    if is_now:
        auth.logout(request)
        messages.success(request, "Your account is being deleted. A mail tells you when it is done.")
    return True


@require_POST
@signed_in
def keep_account(request: SignedInRequest) -> HttpResponse:
    """Cancel the deletion from within the account."""
    try:
        closing.cancel_of(request.user)
        messages.success(request, "Your account stays. Create new API keys to go on.")
    except closing.TooLate:
        messages.error(request, "There is no deletion that could be cancelled.")
    return redirect("settings:delete")


@require_http_methods(["GET", "HEAD", "POST"])
def cancel_deletion(request: HttpRequest, token: str) -> HttpResponse:
    """Ask whether the account shall stay, and cancel its deletion; the mailed link is the secret."""
    try:
        closure = closing.read(token)
        if request.method == "POST":
            closing.cancel(closure)
    except closing.TooLate:
        return render(request, "settings/cancel_deletion.html", {"is_too_late": True}, status=404)
    return render(
        request, "settings/cancel_deletion.html", {"closure": closure, "is_done": request.method == "POST"}
    )
