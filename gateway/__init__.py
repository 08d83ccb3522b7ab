"""The way of a request: admit, route, reserve, dispatch, relay, settle. Owns no table."""
