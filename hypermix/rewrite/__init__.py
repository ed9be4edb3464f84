"""What rewrites texts without a language model that is asked: neighbors of words, masked words, translations."""
