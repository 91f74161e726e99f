"""The thin door for customers: authenticate, call, return."""
