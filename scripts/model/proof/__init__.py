"""What a certificate is made of: each module proves that one kind of thing was not lost on the way."""
