"""The composition root: settings, urls, asgi, celery. Wires the apps and holds no business rule."""
