# syntax=docker/dockerfile:1
ARG PYTHON_IMAGE=python:3.13-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python3 -m venv /opt/venv
COPY requirements/base.txt /tmp/requirements.txt
RUN /opt/venv/bin/pip install --require-hashes --only-binary :all: -r /tmp/requirements.txt

FROM ${PYTHON_IMAGE}
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    FASTANCHOR_DATA_DIR=/data
COPY --from=build /opt/venv /opt/venv
WORKDIR /app
COPY . .
# Static files are hashed at build, with names that reach nothing; the spool needs a place that outlives the container.
RUN FASTANCHOR_HOSTS=build.invalid \
    FASTANCHOR_SECRET_KEY=only-for-collecting-static-files-never-used-when-running \
    FASTANCHOR_API_KEY_PEPPERS=1:00 \
    FASTANCHOR_CHANNEL_KEYS=k1:00 \
    FASTANCHOR_ARCHIVE_KEYS=a1:00 \
    FASTANCHOR_EMAIL_URL=console: \
    DATABASE_URL=postgres:///build \
    REDIS_URL=unix:///build \
    python3 manage.py collectstatic --no-input --verbosity 0 \
    && python3 -m compileall -q . \
    && mkdir /data /exports && chown 10001:10001 /data /exports
USER 10001:10001
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD ["python3", "-c", "import os, urllib.request; urllib.request.urlopen(f\"http://127.0.0.1:{os.environ.get('PORT', 8000)}/healthz\", timeout=2)"]
CMD ["python3", "manage.py", "web"]
