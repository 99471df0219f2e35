"""What `scripts.tools.generate` is made of: values and their spellings, phrases, and how an example is put together."""
