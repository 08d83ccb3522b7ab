"""The URLs of the settings, under /settings/."""

from __future__ import annotations

from django.urls import path

from fastanchor.pages import data_export, deletion, logins, privacy, profile, provider_keys

app_name = "settings"
urlpatterns = [
    path("", profile.profile, name="profile"),
    path("organization/", profile.organization, name="organization"),
    path("provider-keys/", provider_keys.provider_keys, name="provider-keys"),
    path("provider-keys/<slug:channel_id>/", provider_keys.provider_key, name="provider-key"),
    path("provider-keys/<slug:channel_id>/test/", provider_keys.test_key, name="test-provider-key"),
    path("provider-keys/<slug:channel_id>/replace/", provider_keys.replace_key, name="replace-provider-key"),
    path("provider-keys/<slug:channel_id>/switch/", provider_keys.switch_key, name="switch-provider-key"),
    path("provider-keys/<slug:channel_id>/remove/", provider_keys.remove_key, name="remove-provider-key"),
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
