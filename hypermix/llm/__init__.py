"""The one door to language models: stored answers first, then the endpoint."""
