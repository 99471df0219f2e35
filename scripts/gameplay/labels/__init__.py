"""Who names the goal of a segment."""
