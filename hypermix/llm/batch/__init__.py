"""OpenAI's Batch API: many questions in one file, answered within a day at half the price."""
