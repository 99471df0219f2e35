"""A small vision-language model made here: a stand-in where no published one can be fetched.

Its weights start random and are all trained, for a stated number of steps, on pictures drawn as they are needed:
shapes, coloured regions, and smooth surfaces in light and shadow, each with a question and a short answer. None of it
is any system's data. It learns to look and to write rows of digits; what a minimap or a game means it does not know.
"""
