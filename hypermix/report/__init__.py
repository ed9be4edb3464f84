"""Figures, the HTML report and the terminal summary: values in, text out."""
