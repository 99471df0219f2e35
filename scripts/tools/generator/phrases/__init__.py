"""What people say: a module of phrases for each specialist's calls, plans, follow-ups, declines and questions."""
