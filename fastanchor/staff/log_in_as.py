"""The page on which a member of staff logs in as a member of a customer, and the button that ends it."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from accounts import log_in_as
from accounts.models import Organization, User
from fastanchor.staff.customer_actions import Deed, NotDone, answer
from fastanchor.staff.customer_forms import Reason
from fastanchor.staff.customers import find

_WORDS = (
    "You will see the dashboard as this member does, for half an hour, and can change nothing. Neither secrets nor the words"
    " of prompts and answers are shown. It stands in the audit log."
)


class VisitForm(Reason):
    """As whom."""

    member = forms.ModelChoiceField(queryset=User.objects.none(), empty_label=None)
    field_order = ("member", "reason")

    def __init__(self, organization: Organization, *args: Any) -> None:
        super().__init__(*args)
        field = cast("forms.ModelChoiceField[User]", self.fields["member"])
        members = User.objects.filter(memberships__organization=organization)
        field.queryset = members.filter(is_active=True, is_staff=False, is_superuser=False).order_by("pk")


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required(log_in_as.PERMISSION, raise_exception=True)
def begin(request: HttpRequest, org_id: str) -> HttpResponse:
    """Ask for whom and why, then lead to the dashboard."""
    organization = find(org_id)

    def do(form: VisitForm) -> str:
        member: User = form.cleaned_data["member"]
        try:
            log_in_as.begin(
                request=request,
                user=member,
                organization_id=organization.pk,
                reason=form.cleaned_data["reason"],
            )
        except log_in_as.NotAllowed as exc:
            raise NotDone(str(exc)) from exc
        return f"You are logged in as {member.email}."

    form = VisitForm(organization, request.POST if request.method == "POST" else None)
    title = f"Log in as a member of {organization.name}"
    deed = Deed(title, _WORDS, "Log in as this member", form, do, leads_to=reverse("dashboard"))
    return answer(request, organization, deed)


@require_POST
def end(request: HttpRequest) -> HttpResponse:
    """Be oneself again."""
    organization_id = log_in_as.end(request=request, how="ended")
    if not organization_id:
        raise Http404
    messages.success(request, "You are yourself again.")
    return redirect("customer", organization_id)
