"""The page of billing details: who stands on the invoices as their buyer."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from accounts.access import SignedInRequest, signed_in
from billing import details, tax_kinds
from billing.details_forms import DetailsForm, TaxIdForm
from billing.models import StripeCustomer


@require_safe
@signed_in
def details_page(request: SignedInRequest) -> HttpResponse:
    """Show the billing details and the tax ids, with the forms that change them."""
    return _page(request)


@require_POST
@signed_in
def save_details(request: SignedInRequest) -> HttpResponse:
    """Save name, address and e-mail."""
    form = DetailsForm(request.POST)
    if not form.is_valid():
        return _page(request, form=form, status=422)
    details.save(
        organization=request.organization,
        name=form.cleaned_data["name"],
        email=form.cleaned_data["email"],
        address=form.address(),
        by=f"user:{request.user.pk}",
    )
    messages.success(request, "Saved. Invoices bear these details from your next top-up on.")
    return redirect("billing:details")


@require_POST
@signed_in
def add_tax_id(request: SignedInRequest) -> HttpResponse:
    """Add a tax id."""
    form = TaxIdForm(request.POST)
    if form.is_valid():
        try:
            details.add_tax_id(
                organization=request.organization,
                kind=form.cleaned_data["kind"],
                value=form.cleaned_data["value"],
                by=f"user:{request.user.pk}",
            )
        except details.TooManyTaxIds:
            form.add_error("value", f"There is room for {details.MOST_TAX_IDS}. Remove one first.")
        else:
            messages.success(request, "The tax id is added.")
            return redirect("billing:details")
    return _page(request, tax_id_form=form, status=422)


@require_POST
@signed_in
def remove_tax_id(request: SignedInRequest, tax_id: int) -> HttpResponse:
    """Remove a tax id."""
    try:
        details.remove_tax_id(organization=request.organization, tax_id=tax_id, by=f"user:{request.user.pk}")
    except details.UnknownTaxId:
        raise Http404 from None
    messages.success(request, "The tax id is removed.")
    return redirect("billing:details")


def _page(
    request: SignedInRequest,
    *,
    form: DetailsForm | None = None,
    tax_id_form: TaxIdForm | None = None,
    status: int = 200,
) -> HttpResponse:
    known = details.of(request.organization)
    customer = StripeCustomer.objects.filter(organization=request.organization, deleted_at=None).first()
    tax_ids = request.organization.tax_ids.order_by("pk")
    context = {
        "known": known,
        "form": form or DetailsForm.of(known),
        "tax_id_form": tax_id_form or TaxIdForm(),
        "tax_ids": [(each, tax_kinds.label_of(each.kind)) for each in tax_ids],
        "is_by_stripe": known.revision and known.actor == details.BY_STRIPE,
        "is_on_its_way": customer is not None and customer.details_revision < known.revision,
    }
    return render(request, "billing/details.html", context, status=status)
