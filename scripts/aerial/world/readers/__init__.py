"""Folders of other people's and our own, each read into the same sessions of frames."""
