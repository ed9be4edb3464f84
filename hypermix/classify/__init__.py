"""Classifiers: texts and soft labels in, probabilities out. The only package that imports torch."""
