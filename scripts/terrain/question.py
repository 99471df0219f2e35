"""What is asked of a model that sees a minimap, in training as in the package."""

CONFIG = "terrain_config.json"  # of the package: the question, the form of the answers, the size of the pictures
QUESTION = "Write heights, lowest, rise, textures, liquids, holes, objects."
