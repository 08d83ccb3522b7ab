"""The URLs of the billing pages, under /billing/."""

from __future__ import annotations

from django.urls import path

from billing import downloads, views

app_name = "billing"
urlpatterns = [
    path("", views.overview, name="overview"),
    path("top-ups/", views.start_top_up, name="start-top-up"),
    path("top-ups/<str:top_up_id>/", views.top_up_page, name="top-up"),
    path("top-ups/<str:top_up_id>/pay/", views.resume_top_up, name="resume-top-up"),
    path("top-ups/<str:top_up_id>/refund/", views.refund, name="refund"),
    path("top-ups/<str:top_up_id>/receipt.pdf", downloads.receipt, name="receipt"),
    path("transactions/", views.transaction_list, name="transactions"),
    path("transactions.csv", downloads.export, name="export"),
    path("statements/", views.statement_list, name="statements"),
    path("statements/<str:code>.pdf", downloads.statement, name="statement"),
]
