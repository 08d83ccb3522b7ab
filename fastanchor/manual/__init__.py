"""The documentation under ``/docs/``: Markdown files of ``docs/`` as pages, with their values filled in, and searched."""
