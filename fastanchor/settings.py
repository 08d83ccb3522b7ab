"""All settings, read once from the environment.

Contents: mode, secrets, hosts, processes, apps, middleware, templates, database, Valkey, accounts, mail, exports,
static files, gateway, stored responses, Stripe, invoices, Celery, logs. Production (the default) refuses to start when a required name is
missing or unsafe; ``./dev up`` and the tests set every name themselves.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from celery.schedules import crontab
from django.core.exceptions import ImproperlyConfigured
from psycopg.conninfo import conninfo_to_dict

from fastanchor import logs
from fastanchor.env import env_bool, env_int, env_list, env_ranges, env_secret, env_str, refuse_missing
from fastanchor.lib.networks import Front

BASE_DIR = Path(__file__).resolve().parent.parent

# Mode: production unless the launcher or the tests say otherwise.
ENVIRONMENT = env_str("FASTANCHOR_ENV", "production")
if ENVIRONMENT not in {"production", "development", "test"}:
    message = f"FASTANCHOR_ENV must be production, development or test, not {ENVIRONMENT!r}."
    raise ImproperlyConfigured(message)
IS_PRODUCTION = ENVIRONMENT == "production"
DEBUG = False

# Secrets: sessions, API key pepper (newest first, "version:hex"), channel credentials and
# stored responses (both newest first, "kid:hex").
SECRET_KEY = env_secret("FASTANCHOR_SECRET_KEY")
API_KEY_PEPPERS = env_secret("FASTANCHOR_API_KEY_PEPPERS")
CHANNEL_KEYS = env_secret("FASTANCHOR_CHANNEL_KEYS")
ARCHIVE_KEYS = env_secret("FASTANCHOR_ARCHIVE_KEYS")

# Hosts and transport security; behind a proxy that ends TLS set FASTANCHOR_TRUST_PROXY=1.
ALLOWED_HOSTS = env_list("FASTANCHOR_HOSTS", "" if IS_PRODUCTION else "127.0.0.1,localhost,[::1],testserver")
CSRF_TRUSTED_ORIGINS = [f"https://{host}" for host in ALLOWED_HOSTS if IS_PRODUCTION]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = IS_PRODUCTION
# A browser takes cookies of this name from this very host only, over TLS, for all of it; static/js/theme.js sets another.
_HOST = "__Host-" if IS_PRODUCTION else ""
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = f"{_HOST}sessionid", f"{_HOST}csrftoken"
MESSAGES_COOKIE_NAME, MESSAGE_STORAGE = f"{_HOST}messages", "fastanchor.message_storage.Messages"
SECURE_HSTS_SECONDS = 31_536_000 if IS_PRODUCTION else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = IS_PRODUCTION
SECURE_REFERRER_POLICY = "same-origin"
# Programs are refused there, not led on (gateway/envelope.py).
SECURE_REDIRECT_EXEMPT = [r"^v1(/|$)"]
# FASTANCHOR_TRUSTED_PROXIES narrows whom we believe where a request comes from, and lets there be several in a row.
FRONT = Front(env_bool("FASTANCHOR_TRUST_PROXY"), env_ranges("FASTANCHOR_TRUSTED_PROXIES"))
if FRONT.is_proxied:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
X_FRAME_OPTIONS = "DENY"

# Processes: where they listen, and how long a request may still run after SIGTERM, or after a reload (SIGHUP).
BIND_ADDRESS = env_str("FASTANCHOR_BIND", "0.0.0.0" if IS_PRODUCTION else "127.0.0.1")  # noqa: S104
PORT = env_int("PORT", 8000)
GATEWAY_PORT = env_int("GATEWAY_PORT", PORT)
WEB_WORKERS = env_int("WEB_WORKERS", 1)
# Off where a gateway on the same host ships the spools of both.
WEB_SHIPPER = env_bool("WEB_SHIPPER", default=True)
GATEWAY_WORKERS = env_int("GATEWAY_WORKERS", 1)
# All processes that serve /v1, on all hosts: each keeps its share of what upstreams allow a channel.
GATEWAY_PROCESSES = env_int("FASTANCHOR_GATEWAY_PROCESSES", max(GATEWAY_WORKERS, WEB_WORKERS))
DRAIN_S, RELOAD_DRAIN_S = env_int("FASTANCHOR_DRAIN_S", 30), env_int("FASTANCHOR_RELOAD_DRAIN_S", 1800)

# Apps.
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.forms",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "drf_spectacular_sidecar",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "fastanchor",
    "accounts",
    "catalog",
    "billing",
    "gateway",
]
ROOT_URLCONF = "fastanchor.urls"
# The templates of widgets are looked for in templates/ first.
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Middleware of the pages; the hot endpoints never pass through it (fastanchor/asgi.py).
MIDDLEWARE = [
    "fastanchor.middleware.content_security_policy",
    "fastanchor.health.answer_health",
    "django.middleware.security.SecurityMiddleware",
    "gateway.envelope.Envelope",
    "fastanchor.middleware.compressed_pages",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "accounts.session_store.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "accounts.audit.acting",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "fastanchor.middleware.refuse_nul",
    "allauth.account.middleware.AccountMiddleware",
    "accounts.sessions.keep_track",
    "accounts.staff.guard_admin",
    "accounts.log_in_as.as_customer",
    "fastanchor.middleware.no_long_wait_for_stripe",
]

# Templates.
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "fastanchor.navigation.context",
                "fastanchor.staff.menu.context",
            ],
        },
    },
]

# Database: PostgreSQL 15 or newer; a Unix socket folder may stand percent-encoded as the host.
# Further parameters, such as sslmode, go through to libpq, which also reads the address.
_database: dict[str, Any] = {"connect_timeout": 5} | conninfo_to_dict(env_secret("DATABASE_URL"))
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _database.pop("dbname", ""),
        "USER": _database.pop("user", ""),
        "PASSWORD": _database.pop("password", ""),
        "HOST": _database.pop("host", ""),
        "PORT": _database.pop("port", ""),
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        # A server that hangs must not keep a loader waiting for ever; DATABASE_URL may say otherwise.
        "OPTIONS": {"tcp_user_timeout": "10000", **_database},
        "TEST": {"NAME": env_str("FASTANCHOR_TEST_DATABASE", "") or None},
    }
}

# Valkey: holds, limits, change announcements, Celery's broker. Nothing durable lives in it.
REDIS_URL = env_secret("REDIS_URL")
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "cache",
    }
}

# Accounts: e-mail is the login; allauth keeps the pages.
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    *(
        {"NAME": f"django.contrib.auth.password_validation.{name}"}
        for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
    ),
    {"NAME": "accounts.passwords.WordsOfOurs"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "dashboard"
LOGOUT_REDIRECT_URL = "home"
ACCOUNT_ADAPTER = "accounts.adapters.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_CONFIRM_EMAIL_ON_GET = False
ACCOUNT_LOGIN_ON_EMAIL_CONFIRMATION = True
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https" if IS_PRODUCTION else "http"
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_EMAIL_NOTIFICATIONS = True
SESSION_ENGINE = "accounts.session_store"
# A session ends when nobody has used it for so long, and in any case so long after its login (accounts/sessions.py).
SESSION_COOKIE_AGE = 14 * 24 * 3600
SESSION_LONGEST_S = 90 * 24 * 3600
# Staff: a second factor before the admin, which only development may go without (accounts/staff.py); sooner idle.
STAFF_IDLE_S = 30 * 60
STAFF_SECOND_FACTOR = IS_PRODUCTION or env_bool("FASTANCHOR_STAFF_SECOND_FACTOR", default=True)

# Second factors: codes of an app, passkeys, and recovery codes, which are shown once.
MFA_ADAPTER = "accounts.adapters.SecondFactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_FORMS = {"add_webauthn": "accounts.passkeys.AddPasskeyForm"}
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_TOTP_ISSUER = "FastAnchor"
# A clock may be half a minute off.
MFA_TOTP_TOLERANCE = 1
# Nobody logs in by an address that is not verified, and a second one may be added at any time.
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not IS_PRODUCTION

PLAN_OF_NEW_ORGANIZATIONS = "free"

# Mail: smtp://user:password@host:port, console: or file:///folder.
EMAIL_URL = env_secret("FASTANCHOR_EMAIL_URL", None if IS_PRODUCTION else "console:")
DEFAULT_FROM_EMAIL = env_str("FASTANCHOR_MAIL_FROM", "FastAnchor <no-reply@localhost>")
_mail = urlsplit(EMAIL_URL)
EMAIL_BACKEND = {
    "console": "django.core.mail.backends.console.EmailBackend",
    "file": "django.core.mail.backends.filebased.EmailBackend",
}.get(_mail.scheme, "django.core.mail.backends.smtp.EmailBackend")
EMAIL_FILE_PATH = unquote(_mail.path) if _mail.scheme == "file" else None
EMAIL_HOST, EMAIL_PORT = _mail.hostname or "localhost", _mail.port or 587
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = unquote(_mail.username or ""), unquote(_mail.password or "")
EMAIL_USE_TLS = _mail.scheme == "smtp"
EMAIL_TIMEOUT = 10

# Links in mails that no request is behind; wherever people reach the site.
SITE_ORIGIN = env_str(
    "FASTANCHOR_ORIGIN",
    f"https://{next(iter(ALLOWED_HOSTS), '').lstrip('.')}" if IS_PRODUCTION else "http://127.0.0.1:8000",
).rstrip("/")

SECURITY_CONTACT = env_str("FASTANCHOR_SECURITY_CONTACT", f"mailto:security@{urlsplit(SITE_ORIGIN).hostname}")

# Who may read /metrics; nobody where it is empty.
METRICS_TOKEN = env_secret("FASTANCHOR_METRICS_TOKEN", "")

# Exports: where their files wait to be downloaded, for web and worker alike; any storage that Django knows, as JSON.
DATA_DIR = Path(env_str("FASTANCHOR_DATA_DIR", str(BASE_DIR / ".local")))
EXPORTS_STORAGE = json.loads(env_secret("FASTANCHOR_EXPORTS_STORAGE", "null")) or {
    "BACKEND": "django.core.files.storage.FileSystemStorage",
    "OPTIONS": {"location": env_str("FASTANCHOR_EXPORTS_DIR", str(DATA_DIR / "exports"))},
}

# Static files, served by WhiteNoise.
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if IS_PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
    "exports": EXPORTS_STORAGE,
}
WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = not IS_PRODUCTION
WHITENOISE_ALLOW_ALL_ORIGINS = False

# Gateway: where spools live, how much it accepts, which upstreams it may reach.
SPOOL_DIR = DATA_DIR / "spool"
ALLOW_PRIVATE_UPSTREAMS = env_bool("FASTANCHOR_ALLOW_PRIVATE_UPSTREAMS") and not IS_PRODUCTION
BODY_S = env_int("FASTANCHOR_BODY_S", 15)
# Seconds: to connect, to a stream's first content, of silence inside it, for a whole answer, for an answer whose caller
# left, before a keep-alive comment.
UPSTREAM_CONNECT_S = env_int("FASTANCHOR_UPSTREAM_CONNECT_S", 5)
UPSTREAM_FIRST_TOKEN_S = env_int("FASTANCHOR_UPSTREAM_FIRST_TOKEN_S", 120)
UPSTREAM_THINKING_S = env_int("FASTANCHOR_UPSTREAM_THINKING_S", 600)
UPSTREAM_IDLE_S = env_int("FASTANCHOR_UPSTREAM_IDLE_S", 60)
UPSTREAM_WHOLE_S = env_int("FASTANCHOR_UPSTREAM_WHOLE_S", 600)
UPSTREAM_DRAIN_S = env_int("FASTANCHOR_UPSTREAM_DRAIN_S", 30)
KEEP_ALIVE_S = env_int("FASTANCHOR_KEEP_ALIVE_S", 10)
MAX_BODY_BYTES = env_int("FASTANCHOR_MAX_BODY_BYTES", 32 * 1024 * 1024)
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY_BYTES
# Of one process: calls worked on at once, and bytes of bodies on their way; beyond that callers are told to come back.
MAX_RUNNING = env_int("FASTANCHOR_MAX_RUNNING", 2_000)
MAX_ARRIVING_BYTES = env_int("FASTANCHOR_MAX_ARRIVING_BYTES", 256 * 1024 * 1024)
# How long a hold may wait for Valkey before the request is refused.
VALKEY_TIMEOUT_S = env_int("FASTANCHOR_VALKEY_TIMEOUT_MS", 100) / 1000
# Seconds between the loss of Valkey's memory and new holds: every shipper reports its open holds meanwhile.
HOLD_REBUILD_GRACE_S = env_int("FASTANCHOR_HOLD_REBUILD_GRACE_MS", 2000) / 1000

# Stored responses: how long they are kept, how large one may be with all that came before it, how much one organization
# may keep in all, and how long an answer waits for them.
RESPONSES_DAYS = env_int("FASTANCHOR_RESPONSES_DAYS", 30)
RESPONSES_MAX_BYTES = env_int("FASTANCHOR_RESPONSES_MAX_BYTES", 4 * 1024 * 1024)
RESPONSES_QUOTA_BYTES = env_int("FASTANCHOR_RESPONSES_QUOTA_BYTES", 1024 * 1024 * 1024)
# Prompts and answers of organizations that opted in: how much of each side is kept, and how much of one organization in all.
CONTENTS_MAX_BYTES = env_int("FASTANCHOR_CONTENTS_MAX_BYTES", 1024 * 1024)
CONTENTS_QUOTA_BYTES = env_int("FASTANCHOR_CONTENTS_QUOTA_BYTES", 1024 * 1024 * 1024)
ARCHIVE_WAIT_S = env_int("FASTANCHOR_ARCHIVE_WAIT_MS", 2000) / 1000

# Stripe: without a key nothing is sold and every wallet stays as it is. Several webhook secrets while one is rotated.
STRIPE_SECRET_KEY = env_secret("STRIPE_SECRET_KEY", "")
STRIPE_API_BASE = env_str("STRIPE_API_BASE", "https://api.stripe.com").rstrip("/")
STRIPE_WEBHOOK_SECRETS = [
    each.strip() for each in env_secret("STRIPE_WEBHOOK_SECRET", "").split(",") if each.strip()
]
if STRIPE_SECRET_KEY.startswith(("sk_live_", "rk_live_")) and STRIPE_API_BASE != "https://api.stripe.com":
    message = "STRIPE_SECRET_KEY is a live key, and STRIPE_API_BASE is not Stripe."
    raise ImproperlyConfigured(message)

# Invoices: who sells, as it stands on paper (parts of the address separated by "|"), and a line for every invoice.
SELLER_NAME = env_str("FASTANCHOR_SELLER_NAME", "FastAnchor")
SELLER_ADDRESS = [
    each.strip() for each in env_str("FASTANCHOR_SELLER_ADDRESS", "").split("|") if each.strip()
]
SELLER_TAX_ID = env_str("FASTANCHOR_SELLER_TAX_ID", "")
INVOICE_NOTE = env_str("FASTANCHOR_INVOICE_NOTE", "")

# Celery: tasks only trigger work that is safe to run twice; the truth is in PostgreSQL.
CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://").replace("?db=", "?virtual_host=")
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_TIME_LIMIT = 300
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 900}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = {
    "post-usage": {"task": "billing.tasks.post_usage", "schedule": 60.0},
    "expire-lots": {"task": "billing.tasks.expire_lots", "schedule": crontab(minute="7")},
    "expire-credit-proposals": {
        "task": "billing.tasks.expire_credit_proposals",
        "schedule": crontab(minute="13"),
    },
    "prepare-partitions": {
        "task": "billing.tasks.prepare_partitions",
        "schedule": crontab(minute="23", hour="3"),
    },
    "forget-old-health": {
        "task": "billing.tasks.forget_old_health",
        "schedule": crontab(minute="47", hour="3"),
    },
    "expire-responses": {"task": "accounts.tasks.expire_responses", "schedule": 300.0},
    "expire-contents": {"task": "accounts.tasks.expire_contents", "schedule": 300.0},
    "expire-sessions": {"task": "accounts.tasks.expire_sessions", "schedule": crontab(minute="51")},
    "close-accounts": {
        "task": "fastanchor.tasks.close_accounts",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "retire-due-models": {
        "task": "catalog.tasks.retire_due_models",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "send-retirement-mails": {
        "task": "fastanchor.tasks.send_retirement_mails",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "compare-prices": {"task": "catalog.tasks.compare_prices", "schedule": crontab(minute="29", hour="4")},
    # Not on the minute, when everything else runs.
    "probe-credentials": {
        "task": "fastanchor.tasks.probe_credentials",
        "schedule": 67.0,
        "options": {"expires": 60},
    },
    "sample-channels": {
        "task": "fastanchor.tasks.sample_channels",
        "schedule": 300.0,
        "options": {"expires": 300},
    },
    "tell-of-refusals": {
        "task": "fastanchor.tasks.tell_of_refusals",
        "schedule": 73.0,
        "options": {"expires": 60},
    },
    "poll-stripe": {"task": "billing.tasks.poll_stripe", "schedule": 300.0},
    "follow-top-ups": {"task": "billing.tasks.follow_top_ups", "schedule": crontab(minute="37")},
    # The page has said that a refund goes out as soon as Stripe answers.
    "resend-refunds": {"task": "billing.tasks.resend_refunds", "schedule": 300.0},
    "reconcile-cash": {"task": "billing.tasks.reconcile_cash", "schedule": crontab(minute="41", hour="2")},
    "reconcile-usage": {"task": "billing.tasks.reconcile_usage", "schedule": crontab(minute="11", hour="3")},
    # Expires, so that runs do not pile up while Stripe is slow.
    "top-up-automatically": {
        "task": "billing.tasks.top_up_automatically",
        "schedule": 10.0,
        "options": {"expires": 10},
    },
    "resume-auto-top-ups": {"task": "billing.tasks.resume_auto_top_ups", "schedule": 60.0},
    "mail-about-money": {"task": "billing.tasks.mail_about_money", "schedule": 60.0},
    "mail-about-budgets": {"task": "billing.tasks.mail_about_budgets", "schedule": 60.0},
    "push-billing-details": {
        "task": "billing.tasks.push_billing_details",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "write-invoices": {"task": "billing.tasks.write_invoices", "schedule": crontab(minute="17")},
    # Those that nobody has begun, and those whose worker died.
    "run-exports": {"task": "billing.tasks.run_exports", "schedule": 10.0, "options": {"expires": 10}},
    "clean-exports": {"task": "billing.tasks.clean_exports", "schedule": 300.0},
    "reannounce-balances": {"task": "billing.tasks.reannounce_balances", "schedule": 60.0},
}

# Time and language.
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"
USE_I18N = False

# Logs: one line an event on standard error, without secrets.
LOGGING = logs.configuration(is_json=IS_PRODUCTION)

# WhiteNoise hands files over in pieces that Django collects in a thread; they are small.
warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators")

refuse_missing()
if RESPONSES_DAYS < 1:
    message = "FASTANCHOR_RESPONSES_DAYS must be 1 or more."
    raise ImproperlyConfigured(message)
if IS_PRODUCTION and (len(SECRET_KEY) < 50 or "*" in ALLOWED_HOSTS or not ALLOWED_HOSTS):
    message = (
        "FASTANCHOR_SECRET_KEY needs 50 characters or more and FASTANCHOR_HOSTS must name the hosts, not *."
    )
    raise ImproperlyConfigured(message)
