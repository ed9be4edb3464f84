"""From a source to the rows of one subsample."""
