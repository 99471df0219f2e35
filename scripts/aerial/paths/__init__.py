"""Paths through a city that touch nothing."""
