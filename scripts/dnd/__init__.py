"""dnd: scenario Markdown to a dungeon master that writes tool calls."""
