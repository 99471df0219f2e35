"""Readers of recordings: the raw layout, OWAMcap and VPT, all into one `recording.Recording`."""
