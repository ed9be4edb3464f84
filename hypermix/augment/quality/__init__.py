"""What synthetic rows are like: measures of their texts and labels, on arrays; no files and no models of languages."""
