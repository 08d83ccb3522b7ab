"""The URLs of the settings, under /settings/."""

from __future__ import annotations

from django.urls import path

from fastanchor.pages import data_export, deletion, logins, privacy, profile

app_name = "settings"
urlpatterns = [
    path("", profile.profile, name="profile"),
    path("organization/", profile.organization, name="organization"),
    path("notifications/", privacy.notifications, name="notifications"),
    path("unsubscribe/<str:token>/", privacy.unsubscribe, name="unsubscribe"),
    path("privacy/", privacy.privacy, name="privacy"),
    path("privacy/keep-contents/", privacy.keep_contents, name="keep-contents"),
    path("privacy/forget-contents/", privacy.forget_contents, name="forget-contents"),
    path("privacy/forget-responses/", privacy.forget_responses, name="forget-responses"),
    path("sessions/", logins.session_list, name="sessions"),
    path("sessions/end-others/", logins.end_others, name="end-others"),
    path("sessions/<int:session_id>/end/", logins.end_session, name="end-session"),
    path("data-export/", data_export.data_export, name="data-export"),
    path("delete/", deletion.delete_account, name="delete"),
    path("delete/keep/", deletion.keep_account, name="keep-account"),
    path("delete/cancel/<str:token>/", deletion.cancel_deletion, name="cancel-deletion"),
]
