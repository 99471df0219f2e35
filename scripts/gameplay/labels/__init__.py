"""Labellers: they name the goal of a segment."""
