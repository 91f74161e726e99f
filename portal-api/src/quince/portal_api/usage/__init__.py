"""What a customer's meters measured."""
