"""Pages that compose several apps, a module for each part of the site."""
