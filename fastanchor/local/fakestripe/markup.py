"""The pages' HTML: one frame, one style, no script, nothing from another host."""

from __future__ import annotations

from html import escape

from fastanchor.local.fakestripe.calls import amount_words
from fastanchor.local.fakestripe.taxes import TAX_ID_KINDS
from fastanchor.local.fakestripe.world import Obj

_STYLE = """
:root { color-scheme: light; --ink: #1a1f36; --soft: #697386; --line: #e0e6eb; --accent: #0a6cff; --bad: #b3093c; }
* { box-sizing: border-box; }
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: #f6f8fa; }
main { max-width: 58rem; margin: 0 auto; padding: 3rem 1.25rem; display: grid; gap: 2.5rem; }
@media (min-width: 48rem) { main { grid-template-columns: 1fr 1fr; } }
h1 { font-size: 1rem; font-weight: 500; color: var(--soft); margin: 0; }
.sum { font-size: 2.25rem; font-weight: 650; margin: .25rem 0 1.5rem; font-variant-numeric: tabular-nums; }
.badge { display: inline-block; background: #ffde92; color: #5c3d00; font-size: .75rem; font-weight: 650; border-radius: 4px;
  padding: .1rem .45rem; margin-left: .5rem; vertical-align: middle; }
.rows { list-style: none; margin: 0 0 1rem; padding: 0; }
.rows li { display: flex; justify-content: space-between; gap: 1rem; padding: .6rem 0; border-top: 1px solid var(--line); }
.soft, .soft a { color: var(--soft); font-size: .9rem; }
.panel { background: #fff; border: 1px solid var(--line); border-radius: 12px; padding: 1.5rem; box-shadow: 0 2px 8px #1a1f3610; }
form { display: grid; gap: .9rem; }
label { display: grid; gap: .25rem; font-size: .9rem; font-weight: 550; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: .9rem; }
.choice { display: flex; gap: 1.25rem; border: 0; padding: 0; margin: 0; }
.choice label { display: flex; align-items: center; gap: .4rem; }
input:not([type=radio]), select { width: 100%; font: inherit; font-weight: 400; padding: .55rem .7rem; border: 1px solid #c9d2db; border-radius: 7px;
  background: #fff; color: inherit; }
input:focus-visible, select:focus-visible, button:focus-visible { outline: 3px solid #0a6cff55; border-color: var(--accent); }
button { font: inherit; font-weight: 650; padding: .75rem; border: 0; border-radius: 7px; background: var(--accent); color: #fff;
  cursor: pointer; }
button.quiet { background: #fff; color: var(--ink); border: 1px solid #c9d2db; }
.alert { background: #fff0f3; color: var(--bad); border: 1px solid #f4c4d0; border-radius: 7px; padding: .7rem .9rem; margin: 0; }
"""


def frame(title: str, content: str) -> str:
    """Return a whole page."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>'
        f"<body><main>{content}</main></body></html>"
    )


def message(title: str, text: str, link: tuple[str, str] | None = None) -> str:
    """Return a page that says one thing."""
    way = f'<p><a href="{escape(link[0])}">{escape(link[1])}</a></p>' if link else ""
    return frame(
        title, f'<section class="panel"><h1>{escape(title)}</h1><p>{escape(text)}</p>{way}</section>'
    )


def checkout(
    session: Obj, items: list[Obj], filled: dict[str, str], *, error: str, total: int, tax: int
) -> str:
    """Return the page of an open session; ``filled`` is what the customer wrote before."""
    is_payment = session["mode"] == "payment"
    title = "Pay FastAnchor" if is_payment else "Save a payment method"
    return frame(
        title,
        _summary(session, items, title, total=total, tax=tax)
        + _form(session, filled, error=error, total=total),
    )


def _summary(session: Obj, items: list[Obj], title: str, *, total: int, tax: int) -> str:
    money = session["currency"] or "usd"
    shown = [(f"{item['description']} × {item['quantity']}", item["amount_subtotal"]) for item in items]
    if session["automatic_tax"]["enabled"]:
        shown.append(("Tax", tax))
    rows = "".join(
        f"<li><span>{escape(name)}</span><span>{words(amount, money)}</span></li>" for name, amount in shown
    )
    amount = (
        f'<p class="sum" id="total">{words(total, money)}</p>'
        if items
        else '<p class="sum">No charge today</p>'
    )
    back = session["cancel_url"]
    leave = (
        f'<p class="soft"><a id="cancel" href="{escape(back)}">← Back without paying</a></p>' if back else ""
    )
    return (
        f'<section><h1>{title}<span class="badge">TEST</span></h1>{amount}<ul class="rows">{rows}</ul>{leave}'
        '<p class="soft">No money moves here. Cards are test cards: 4242 4242 4242 4242 pays, 4000 0000 0000 9995 declines.</p>'
        "</section>"
    )


def words(amount: int, money: str) -> str:
    """Return an amount as people read it."""
    written, code = amount_words(amount, money).split(" ")
    return f"{written} {code.upper()}" if written[0].isdecimal() else written


def _form(session: Obj, filled: dict[str, str], *, error: str, total: int) -> str:
    is_payment = session["mode"] == "payment"
    alert = f'<p class="alert" role="alert" id="error">{escape(error)}</p>' if error else ""
    button = f"Pay {words(total, session['currency'])}" if is_payment else "Save"
    parts = [
        f'<input type="hidden" name="expectedAmount" value="{total}">',
        _email(session, filled),
        _kinds(session, filled),
        field_of("cardNumber", "Card number", filled, "1234 1234 1234 1234", "cc-number"),
        '<div class="pair">',
        field_of("cardExpiry", "Expiry", filled, "MM / YY", "cc-exp"),
        field_of("cardCvc", "CVC", filled, "CVC", "cc-csc"),
        "</div>",
        field_of("billingName", "Name on card", filled, "Full name", "cc-name"),
        _address(session, filled),
        _tax_id(session, filled),
        f'<button type="submit" id="pay">{button}</button>',
    ]
    return f'<section class="panel"><form method="post" novalidate>{alert}{"".join(parts)}</form></section>'


def field_of(name: str, label: str, filled: dict[str, str], placeholder: str = "", kind: str = "on") -> str:
    """Return one labelled field."""
    value = escape(filled.get(name, ""))
    return (
        f'<label>{label}<input id="{name}" name="{name}" value="{value}" placeholder="{placeholder}" '
        f'autocomplete="{kind}"></label>'
    )


def _email(session: Obj, filled: dict[str, str]) -> str:
    if session["customer"]:
        return ""
    return field_of("email", "E-mail", {"email": session["customer_email"] or "", **filled}, "", "email")


def _kinds(session: Obj, filled: dict[str, str]) -> str:
    if "us_bank_account" not in session["payment_method_types"] or session["mode"] != "payment":
        return ""
    chosen = filled.get("paymentKind", "card")
    choices = (("card", "Card"), ("us_bank_account", "Bank account (settles later)"))
    options = "".join(
        f'<label><input type="radio" name="paymentKind" id="kind-{kind}" value="{kind}"'
        f"{' checked' if kind == chosen else ''}>{label}</label>"
        for kind, label in choices
    )
    return f'<fieldset class="choice">{options}</fieldset>'


def _address(session: Obj, filled: dict[str, str]) -> str:
    chosen = filled.get("billingCountry", "US")
    options = "".join(
        f'<option value="{country}"{" selected" if country == chosen else ""}>{country}</option>'
        for country in TAX_ID_KINDS
    )
    country = f'<label>Country<select id="billingCountry" name="billingCountry">{options}</select></label>'
    postal = field_of("billingPostalCode", "Postal code", filled, "", "postal-code")
    short = f'<div class="pair">{country}{postal}</div>'
    if session["billing_address_collection"] != "required":
        return short
    line = field_of("billingAddressLine1", "Address", filled, "", "address-line1")
    line += field_of("billingAddressLine2", "Address, second line", filled, "", "address-line2")
    city = field_of("billingLocality", "City", filled, "", "address-level2")
    state = field_of("billingAdministrativeArea", "State", filled, "", "address-level1")
    return f'{line}<div class="pair">{city}{state}</div>{short}'


def _tax_id(session: Obj, filled: dict[str, str]) -> str:
    if not session.get("tax_id_collection", {}).get("enabled"):
        return ""
    business = field_of("businessName", "Business name (with a tax ID)", filled, "", "organization")
    return field_of("taxId", "Business tax ID (optional)", filled) + business


def challenge(amount: str) -> str:
    """Return the page on which a bank asks its customer."""
    about = f"to pay {escape(amount)}" if amount else "to save this card"
    buttons = (
        '<button name="answer" value="approve" id="approve">Complete authentication</button>'
        '<button name="answer" value="refuse" id="refuse" class="quiet">Fail authentication</button>'
    )
    return frame(
        "Your bank asks",
        '<section class="panel"><h1>Test bank<span class="badge">TEST</span></h1>'
        f'<p>Your bank wants to know that it is you who asks {about}.</p><form method="post">{buttons}</form></section>',
    )


def document(title: str, rows: list[tuple[str, str]], link: tuple[str, str] | None = None) -> str:
    """Return a receipt or an invoice."""
    lines = "".join(
        f"<li><span>{escape(name)}</span><span>{escape(value)}</span></li>" for name, value in rows
    )
    way = f'<p><a href="{escape(link[0])}">{escape(link[1])}</a></p>' if link else ""
    return frame(
        title, f'<section class="panel"><h1>{escape(title)}</h1><ul class="rows">{lines}</ul>{way}</section>'
    )
