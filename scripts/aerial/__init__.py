"""aerial: city meshes to sessions of occupancy and poses, and a world model trained on them."""
