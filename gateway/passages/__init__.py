"""Ways from a client's format to an upstream's protocol and back: native where both are the same, else translated."""
