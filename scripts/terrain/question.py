"""The question about a minimap, in training and in the package."""

CONFIG = "terrain_config.json"  # of the package: the question, the form of the answers, the size of the images
QUESTION = "Write heights, lowest, rise, textures, liquids, holes, objects."
