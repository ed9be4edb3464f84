"""A causal language model that answers in this process, by transformers."""
