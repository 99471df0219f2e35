"""A made-up city: a plan of streets and lots, the ground, what is built on the lots, and trees."""
