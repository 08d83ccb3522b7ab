"""What we sell: providers, models, dated prices, channels, routes."""
