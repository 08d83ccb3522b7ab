"""Which function answers which of Stripe's operations, under Stripe's own name for it."""

from __future__ import annotations

import re

from fastanchor.local.fakestripe import (
    balance,
    charges,
    checkout,
    credit_notes,
    customers,
    disputes,
    events,
    invoice_items,
    invoices,
    meters,
    payment_intents,
    payment_methods,
    payment_pages,
    products,
    refunds,
    setup_intents,
)
from fastanchor.local.fakestripe.calls import Handler

ROUTES: dict[str, Handler] = {
    "POST /v1/customers": customers.create,
    "GET /v1/customers": customers.list_all,
    "GET /v1/customers/search": customers.search,
    "GET /v1/customers/{customer}": customers.retrieve,
    "POST /v1/customers/{customer}": customers.change,
    "DELETE /v1/customers/{customer}": customers.delete,
    "POST /v1/customers/{customer}/tax_ids": customers.create_tax_id,
    "GET /v1/customers/{customer}/tax_ids": customers.list_tax_ids,
    "GET /v1/customers/{customer}/tax_ids/{id}": customers.retrieve_tax_id,
    "DELETE /v1/customers/{customer}/tax_ids/{id}": customers.delete_tax_id,
    "GET /v1/customers/{customer}/payment_methods": payment_methods.list_of_customer,
    "GET /v1/customers/{customer}/payment_methods/{payment_method}": payment_methods.retrieve_of_customer,
    "POST /v1/payment_methods": payment_methods.create,
    "GET /v1/payment_methods": payment_methods.list_all,
    "GET /v1/payment_methods/{payment_method}": payment_methods.retrieve,
    "POST /v1/payment_methods/{payment_method}": payment_methods.change,
    "POST /v1/payment_methods/{payment_method}/attach": payment_methods.attach,
    "POST /v1/payment_methods/{payment_method}/detach": payment_methods.detach,
    "POST /v1/setup_intents": setup_intents.create,
    "GET /v1/setup_intents": setup_intents.list_all,
    "GET /v1/setup_intents/{intent}": setup_intents.retrieve,
    "POST /v1/setup_intents/{intent}": setup_intents.change,
    "POST /v1/setup_intents/{intent}/confirm": setup_intents.confirm,
    "POST /v1/setup_intents/{intent}/cancel": setup_intents.cancel,
    "POST /v1/payment_intents": payment_intents.create,
    "GET /v1/payment_intents": payment_intents.list_all,
    "GET /v1/payment_intents/search": payment_intents.search,
    "GET /v1/payment_intents/{intent}": payment_intents.retrieve,
    "POST /v1/payment_intents/{intent}": payment_intents.change,
    "POST /v1/payment_intents/{intent}/confirm": payment_intents.confirm,
    "POST /v1/payment_intents/{intent}/capture": payment_intents.capture,
    "POST /v1/payment_intents/{intent}/cancel": payment_intents.cancel,
    "POST /v1/checkout/sessions": checkout.create,
    "GET /v1/checkout/sessions": checkout.list_all,
    "GET /v1/checkout/sessions/{session}": checkout.retrieve,
    "POST /v1/checkout/sessions/{session}": checkout.change,
    "POST /v1/checkout/sessions/{session}/expire": checkout.expire,
    "GET /v1/checkout/sessions/{session}/line_items": checkout.list_line_items,
    # Stripe's document does not name these two; its pages and its CLI use them.
    "GET /v1/payment_pages/{session}": payment_pages.retrieve,
    "POST /v1/payment_pages/{session}/confirm": payment_pages.confirm,
    "GET /v1/charges": charges.list_all,
    "GET /v1/charges/search": charges.search,
    "GET /v1/charges/{charge}": charges.retrieve,
    "POST /v1/charges/{charge}": charges.change,
    "GET /v1/charges/{charge}/refunds": charges.list_refunds,
    "POST /v1/refunds": refunds.create,
    "GET /v1/refunds": refunds.list_all,
    "GET /v1/refunds/{refund}": refunds.retrieve,
    "POST /v1/refunds/{refund}": refunds.change,
    "GET /v1/disputes": disputes.list_all,
    "GET /v1/disputes/{dispute}": disputes.retrieve,
    "POST /v1/disputes/{dispute}": disputes.change,
    "POST /v1/disputes/{dispute}/close": disputes.close,
    "GET /v1/balance": balance.retrieve,
    "GET /v1/balance_transactions": balance.list_transactions,
    "GET /v1/balance_transactions/{id}": balance.retrieve_transaction,
    "GET /v1/events": events.list_all,
    "GET /v1/events/{id}": events.retrieve,
    "POST /v1/invoices": invoices.create,
    "GET /v1/invoices": invoices.list_all,
    "GET /v1/invoices/{invoice}": invoices.retrieve,
    "POST /v1/invoices/{invoice}": invoices.change,
    "DELETE /v1/invoices/{invoice}": invoices.delete,
    "GET /v1/invoices/{invoice}/lines": invoices.list_lines,
    "POST /v1/invoices/{invoice}/finalize": invoices.finalize,
    "POST /v1/invoices/{invoice}/pay": invoices.pay,
    "POST /v1/invoices/{invoice}/send": invoices.send,
    "POST /v1/invoices/{invoice}/void": invoices.void,
    "POST /v1/invoices/{invoice}/mark_uncollectible": invoices.mark_uncollectible,
    "POST /v1/invoiceitems": invoice_items.create,
    "GET /v1/invoiceitems/{invoiceitem}": invoice_items.retrieve,
    "DELETE /v1/invoiceitems/{invoiceitem}": invoice_items.delete,
    "POST /v1/credit_notes": credit_notes.create,
    "GET /v1/credit_notes": credit_notes.list_all,
    "GET /v1/credit_notes/{id}": credit_notes.retrieve,
    "POST /v1/credit_notes/{id}": credit_notes.change,
    "POST /v1/credit_notes/{id}/void": credit_notes.void,
    "POST /v1/products": products.create,
    "GET /v1/products": products.list_all,
    "GET /v1/products/{id}": products.retrieve,
    "POST /v1/products/{id}": products.change,
    "DELETE /v1/products/{id}": products.delete,
    "POST /v1/prices": products.create_price,
    "GET /v1/prices": products.list_prices,
    "GET /v1/prices/{price}": products.retrieve_price,
    "POST /v1/prices/{price}": products.change_price,
    "POST /v1/webhook_endpoints": events.create_endpoint,
    "GET /v1/webhook_endpoints": events.list_endpoints,
    "GET /v1/webhook_endpoints/{webhook_endpoint}": events.retrieve_endpoint,
    "POST /v1/webhook_endpoints/{webhook_endpoint}": events.change_endpoint,
    "DELETE /v1/webhook_endpoints/{webhook_endpoint}": events.delete_endpoint,
    "POST /v1/billing/meters": meters.create,
    "GET /v1/billing/meters": meters.list_all,
    "GET /v1/billing/meters/{id}": meters.retrieve,
    "POST /v1/billing/meters/{id}": meters.change,
    "POST /v1/billing/meters/{id}/deactivate": meters.deactivate,
    "POST /v1/billing/meters/{id}/reactivate": meters.reactivate,
    "GET /v1/billing/meters/{id}/event_summaries": meters.summarize,
    "POST /v1/billing/meter_events": meters.record,
    "POST /v1/billing/meter_event_adjustments": meters.adjust,
}


def _pattern(operation: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", operation))


# Names before placeholders: ``/v1/customers/search`` is no customer.
_PATTERNS = [(each, _pattern(each)) for each in sorted(ROUTES, key=lambda each: each.replace("{", "~"))]


def find(method: str, path: str) -> tuple[str, dict[str, str]] | None:
    """Return the operation that a request is for and what its path names."""
    for operation, pattern in _PATTERNS:
        if found := pattern.fullmatch(f"{method} {path}"):
            return operation, found.groupdict()
    return None
