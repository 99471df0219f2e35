"""City meshes to sessions of occupancy, and a world model that foretells them."""
