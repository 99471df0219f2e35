"""Parts of `scripts.tools.generate`: values and their spellings, phrases, and the assembly of examples."""
