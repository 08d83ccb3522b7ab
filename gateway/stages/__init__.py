"""The six stages of a request, one module each, named by their verb."""
