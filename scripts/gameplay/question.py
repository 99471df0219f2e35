"""What a package tells of its agent."""

CONFIG = "gameplay_config.json"  # of the package: the size of the pictures, the system prompt, the goals
