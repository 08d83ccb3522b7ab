"""How upstreams are reached: the HTTP client, the event splitter, and one adapter per protocol."""
