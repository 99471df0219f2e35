"""Loops over bytes, triangles and cells, compiled on first use; `compiled` says how and where that is kept."""
