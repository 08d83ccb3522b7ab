"""Staff's pages that compose apps, what leads to them, and who may do what."""
