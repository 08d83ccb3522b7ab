"""Settings: the person, and the organization."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from accounts import budgets, organizations, people
from accounts.access import SignedInRequest, signed_in
from accounts.profile_forms import OrganizationForm, ProfileForm


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def profile(request: SignedInRequest) -> HttpResponse:
    """Show and set how a person is shown."""
    form = ProfileForm(request.POST) if request.method == "POST" else ProfileForm.of(request.user)
    if form.is_valid():
        people.call(request.user, name=form.cleaned_data["name"])
        messages.success(request, "Your profile is saved.")
        return redirect("settings:profile")
    return render(request, "settings/profile.html", {"form": form}, status=422 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def organization(request: SignedInRequest) -> HttpResponse:
    """Show an organization with the limits in force; its owners may rename it."""
    may_change = budgets.is_owner(request.user, request.organization.pk)
    form = OrganizationForm.of(request.organization)
    if request.method == "POST":
        form = OrganizationForm(request.POST)
        if not may_change:
            raise PermissionDenied
        if form.is_valid():
            organizations.rename(organization=request.organization, name=form.cleaned_data["name"])
            messages.success(request, "The organization is saved.")
            return redirect("settings:organization")
    context = {
        "organization": request.organization,
        "limits": organizations.limits_of(request.organization),
        "form": form,
        "may_change": may_change,
    }
    return render(request, "settings/organization.html", context, status=422 if form.errors else 200)
