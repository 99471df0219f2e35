"""A first-person game without a screen: seeded maps, an arena to play in, and a scripted player."""
