"""terrain: map exports to a vision-language model that reads a minimap and rebuilds the ground."""
