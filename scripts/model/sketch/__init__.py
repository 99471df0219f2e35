"""A small vision-language model made here, for where no published one can be fetched.

Its weights start random and are all trained, for a stated number of steps, on images drawn on the fly: shapes, coloured
regions, and shaded surfaces, or rooms with things, each with a question and a short answer. No data of a system is
used. `sketch-vl` learns the brightness, colour and height of each cell of an image, as rows of digits; it does not
learn to locate named objects. `sketch-rooms` learns to locate things by the name of their colour.
"""
