"""TransVQVAE: from windows of occupancy and poses to the frames that follow."""
