"""The parts of `scripts.tools.serve`: specialists as tools of an MCP server."""
