"""The agent's file in a package."""

CONFIG = "gameplay_config.json"  # holds the size of the pictures, the system prompt and the goals
