"""The parts of the one page that shows every run: what is read, the pictures, the template."""
