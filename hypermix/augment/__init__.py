"""Augmenters: they plan requests and harvest answers, and never ask a language model themselves."""
