"""Parts of `scripts.tools.generate`: values and spellings, phrases (in ``templates/``), assembly of examples."""
