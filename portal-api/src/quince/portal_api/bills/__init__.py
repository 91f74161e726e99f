"""A customer's bills, as they were issued."""
