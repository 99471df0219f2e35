"""Questline's stages: a module is a stage, and a stage is a command (`python -m scripts.dnd.curate --help`)."""
