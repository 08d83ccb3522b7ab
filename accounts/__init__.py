"""Who calls us: users, organizations, members, plans, API keys."""
