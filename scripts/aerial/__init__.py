"""aerial: city meshes to an occupancy world model for drone and rover."""
