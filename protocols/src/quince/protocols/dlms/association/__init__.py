"""The two sides' conversation: who may ask, what is under way, what it means."""
