"""Stripe's pages as a browser meets them: checkout, the bank's question, invoices and receipts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlencode

from fastanchor.local.fakestripe import completing, markup, paying, pdf, setup_intents
from fastanchor.local.fakestripe.calls import address
from fastanchor.local.fakestripe.cards import by_number, card_error
from fastanchor.local.fakestripe.completing import Buyer
from fastanchor.local.fakestripe.errors import StripeError
from fastanchor.local.fakestripe.payment_methods import check_expiry, make_bank_account, make_card
from fastanchor.local.fakestripe.taxes import require_tax_id
from fastanchor.local.fakestripe.world import Obj, World

_EXPIRY = re.compile(r"\s*(\d{1,2})\s*/?\s*(\d{2}|\d{4})\s*")


@dataclass(frozen=True, slots=True)
class Page:
    """What a browser gets."""

    body: str | bytes
    status: int = 200
    location: str = ""
    content_type: str = "text/html; charset=utf-8"


def answer(world: World, method: str, path: str, form: dict[str, str]) -> Page:
    """Answer a browser."""
    steps = path.strip("/").split("/")
    match method, steps:
        case "GET", ["c", "pay", session_id]:
            page = _show(world, session_id)
        case "POST", ["c", "pay", session_id]:
            page = _submit(world, session_id, form)
        case "GET", ["3ds", intent_id]:
            page = _ask(world, intent_id)
        case "POST", ["3ds", intent_id]:
            page = _hear(world, intent_id, is_approved=form.get("answer") == "approve")
        case "GET", ["i" | "receipts", *rest]:
            page = _paper(world, steps[0], *rest)
        case _:
            page = _nothing("page")
    return page


def _nothing(what: str) -> Page:
    return Page(markup.message("Nothing here", f"This {what} does not exist."), 404)


def _paper(world: World, kind: str, object_id: str, *rest: str) -> Page:
    if kind == "receipts":
        return _receipt(world, object_id)
    return _invoice_pdf(world, object_id) if rest[-1:] == ("pdf",) else _invoice(world, object_id)


def _show(world: World, session_id: str) -> Page:
    session = world.table("checkout.session").get(session_id)
    if session is None:
        return _nothing("checkout")
    if session["status"] == "complete":
        link = (_success_url(session), "Back to the shop")
        return Page(markup.message("You have already paid", "This checkout is complete.", link), 409)
    if session["status"] == "expired":
        return Page(markup.message("Too late", "This checkout has expired. Please start again."), 410)
    error = world.hidden(session_id).pop("error", "")
    return _form_page(world, session, {}, Buyer(), error=error)


def _form_page(
    world: World, session: Obj, filled: dict[str, str], buyer: Buyer, *, error: str, status: int = 200
) -> Page:
    items = world.hidden(session["id"])["line_items"]
    total, tax = completing.total_of(world, session, buyer)
    # As Stripe does, the page forgets the security code.
    kept = {name: value for name, value in filled.items() if name != "cardCvc"}
    return Page(markup.checkout(session, items, kept, error=error, total=total, tax=tax), status)


def _submit(world: World, session_id: str, form: dict[str, str]) -> Page:
    session = world.table("checkout.session").get(session_id)
    if session is None or session["status"] != "open":
        return _show(world, session_id)
    buyer = _buyer(session, form)
    total, _ = completing.total_of(world, session, buyer)
    if session["mode"] == "payment" and form.get("expectedAmount") != str(total):
        text = f"Tax for your address brings the total to {markup.words(total, session['currency'])}. Pay again to agree."
        return _form_page(world, session, form, buyer, error=text)
    try:
        _require_answers(session, form)
        for each in buyer.tax_ids:
            require_tax_id(each["type"], each["value"], param="tax_id")
        completing.submit(world, session, _method(world, form, buyer), buyer)
    except StripeError as exc:
        return _form_page(world, session, form, buyer, error=str(exc), status=402)
    return _leave(world, session)


def _leave(world: World, session: Obj) -> Page:
    if session["status"] == "complete":
        return Page("", 303, _success_url(session))
    intent = session["payment_intent"] or session["setup_intent"]
    return Page("", 303, f"{world.base_url}/3ds/{intent}")


def _success_url(session: Obj) -> str:
    return str(session["success_url"] or "/").replace("{CHECKOUT_SESSION_ID}", session["id"])


def _buyer(session: Obj, form: dict[str, str]) -> Buyer:
    where = address(
        {
            "city": form.get("billingLocality"),
            "country": form.get("billingCountry"),
            "line1": form.get("billingAddressLine1"),
            "line2": form.get("billingAddressLine2"),
            "postal_code": form.get("billingPostalCode"),
            "state": form.get("billingAdministrativeArea"),
        }
    )
    has_tax_id = session.get("tax_id_collection", {}).get("enabled")
    return Buyer(
        email=form.get("email") or session["customer_email"],
        name=form.get("billingName") or None,
        address=where or {},
        tax_id=form.get("taxId") or None if has_tax_id else None,
        business=form.get("businessName") or None if has_tax_id else None,
    )


def _require_answers(session: Obj, form: dict[str, str]) -> None:
    needed = {"email": "an e-mail address"} if not session["customer"] else {}
    if session["billing_address_collection"] == "required":
        needed |= {"billingAddressLine1": "an address", "billingLocality": "a city"}
    if form.get("paymentKind", "card") == "card":
        needed |= {"billingName": "the name on the card", "cardCvc": "the card's security code"}
    for name, words in needed.items():
        if not form.get(name):
            raise card_error(f"Please fill in {words}.", code="incomplete")


def _method(world: World, form: dict[str, str], buyer: Buyer) -> Obj:
    billing = {"address": buyer.address, "email": buyer.email, "name": buyer.name}
    if form.get("paymentKind", "card") != "card":
        return make_bank_account(world, {}, billing, allow_redisplay="limited")
    card = by_number(form.get("cardNumber", ""))
    expiry = _EXPIRY.fullmatch(form.get("cardExpiry", ""))
    if expiry is None:
        raise card_error("Your card's expiration date is incomplete.", code="incomplete_expiry")
    month, year = int(expiry[1]), int(expiry[2])
    check_expiry(world, month, year)
    full = year if year > 99 else 2000 + year
    return make_card(world, card, exp_month=month, exp_year=full, billing=billing, allow_redisplay="limited")


def _intent(world: World, intent_id: str) -> Obj | None:
    found = world.find(intent_id)
    return found if found and found["object"] in {"payment_intent", "setup_intent"} else None


def _ask(world: World, intent_id: str) -> Page:
    intent = _intent(world, intent_id)
    if intent is None or intent["status"] != "requires_action":
        return Page(markup.message("Nothing to do", "Your bank has no question."), 409)
    amount = markup.words(intent["amount"], intent["currency"]) if "amount" in intent else ""
    return Page(markup.challenge(amount))


def _hear(world: World, intent_id: str, *, is_approved: bool) -> Page:
    """Take the customer's answer to the bank and send the browser back."""
    intent = _intent(world, intent_id)
    if intent is None or intent["status"] != "requires_action":
        return _ask(world, intent_id)
    goes_on = setup_intents if intent["object"] == "setup_intent" else paying
    session = world.table("checkout.session").get(world.hidden(intent_id).get("session", ""))
    try:
        goes_on.answer_challenge(world, intent, is_approved=is_approved)
    except StripeError as exc:
        if session is not None:
            world.hidden(session["id"])["error"] = str(exc)
            return Page("", 303, f"{world.base_url}/c/pay/{session['id']}")
        return _back(world, intent, "failed")
    if session is not None:
        completing.complete(world, session)
        return Page("", 303, _success_url(session))
    return _back(world, intent, "succeeded")


def _back(world: World, intent: Obj, status: str) -> Page:
    url = world.hidden(intent["id"]).get("return_url")
    if not url:
        return Page(markup.message("Thank you", "You may close this page."))
    kind = intent["object"]
    told = {kind: intent["id"], f"{kind}_client_secret": intent["client_secret"], "redirect_status": status}
    return Page("", 303, f"{url}{'&' if '?' in url else '?'}{urlencode(told)}")


def _invoice_rows(invoice: Obj) -> list[tuple[str, str]]:
    money = invoice["currency"]
    lines = [
        (str(line["description"]), markup.words(line["amount"], money)) for line in invoice["lines"]["data"]
    ]
    tax = invoice["total"] - invoice["subtotal"]
    return [
        ("Billed to", invoice["customer_name"] or invoice["customer_email"] or invoice["customer"]),
        *lines,
        *([("Tax", markup.words(tax, money))] if tax else []),
        ("Total", markup.words(invoice["total"], money)),
        ("Status", str(invoice["status"])),
    ]


def _invoice(world: World, invoice_id: str) -> Page:
    invoice = world.table("invoice").get(invoice_id)
    if invoice is None or not invoice.get("number"):
        return _nothing("invoice")
    link = (invoice["invoice_pdf"], "Download as PDF")
    return Page(markup.document(f"Invoice {invoice['number']}", _invoice_rows(invoice), link))


def _invoice_pdf(world: World, invoice_id: str) -> Page:
    invoice = world.table("invoice").get(invoice_id)
    if invoice is None or not invoice.get("number"):
        return _nothing("invoice")
    lines = [f"Invoice {invoice['number']}", *(f"{name}: {value}" for name, value in _invoice_rows(invoice))]
    return Page(pdf.page(lines), content_type="application/pdf")


def _receipt(world: World, charge_id: str) -> Page:
    charge = world.table("charge").get(charge_id)
    if charge is None or charge["receipt_url"] is None:
        return _nothing("receipt")
    money = charge["currency"]
    rows = [
        ("Amount paid", markup.words(charge["amount"], money)),
        ("Refunded", markup.words(charge["amount_refunded"], money)),
        ("For", charge["description"] or "—"),
    ]
    return Page(markup.document("Receipt", rows))
