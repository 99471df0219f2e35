"""A small vision-language model made here: a stand-in where no published one can be fetched.

Its weights start random and are all trained, for a stated number of steps, on pictures drawn as they are needed:
shapes, coloured regions, and smooth surfaces in light and shadow, each with a question and a short answer. None of it
is any system's data. It learns to tell how bright, coloured or high a surface is in each cell of a picture, as rows of
digits. Shapes and regions it has met, but it does not find a thing by its name, and what a minimap or a game means it
does not know.
"""
