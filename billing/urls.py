"""The URLs of the billing pages, under /billing/."""

from __future__ import annotations

from django.urls import path

from billing import budget_views, card_views, details_views, downloads, setting_views, views

app_name = "billing"
urlpatterns = [
    path("", views.overview, name="overview"),
    path("top-ups/", views.start_top_up, name="start-top-up"),
    path("top-ups/<str:top_up_id>/", views.top_up_page, name="top-up"),
    path("top-ups/<str:top_up_id>/pay/", views.resume_top_up, name="resume-top-up"),
    path("top-ups/<str:top_up_id>/refund/", views.refund, name="refund"),
    path("top-ups/<str:top_up_id>/receipt.pdf", downloads.receipt, name="receipt"),
    path("cards/", card_views.card_list, name="cards"),
    path("cards/add/", card_views.add_card, name="add-card"),
    path("cards/<int:card_id>/use/", card_views.choose_card, name="choose-card"),
    path("cards/<int:card_id>/remove/", card_views.remove_card, name="remove-card"),
    path("details/", details_views.details_page, name="details"),
    path("details/save/", details_views.save_details, name="save-details"),
    path("details/tax-ids/", details_views.add_tax_id, name="add-tax-id"),
    path("details/tax-ids/<int:tax_id>/remove/", details_views.remove_tax_id, name="remove-tax-id"),
    path("invoices/", views.invoice_list, name="invoices"),
    path("invoices/<str:number>.pdf", downloads.invoice, name="invoice"),
    path("automatic/", setting_views.automatic, name="automatic"),
    path("auto-top-up/", setting_views.set_auto_top_up, name="set-auto-top-up"),
    path("low-balance/", setting_views.set_low_balance, name="set-low-balance"),
    path("budgets/", budget_views.budget_page, name="budgets"),
    path("budgets/organization/", budget_views.set_organization_budgets, name="set-organization-budgets"),
    path("budgets/members/<int:membership_id>/", budget_views.set_member_budgets, name="set-member-budgets"),
    path("budgets/keys/<str:key_id>/", budget_views.key_budgets, name="key-budgets"),
    path("transactions/", views.transaction_list, name="transactions"),
    path("transactions.csv", downloads.export, name="export"),
    path("statements/", views.statement_list, name="statements"),
    path("statements/<str:code>.pdf", downloads.statement, name="statement"),
]
