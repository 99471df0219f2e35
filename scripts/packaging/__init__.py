"""The parts of what a user ships: checksums, the smoke transcript, serving files, the model card's template."""
