"""The parts of `scripts.gameplay.record`: screen, keyboard, pace, writer, status line, sync check."""
