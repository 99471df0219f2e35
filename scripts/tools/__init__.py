"""The tools system: trains three specialists that call ROM-hacking tools, from examples of tool calls."""
