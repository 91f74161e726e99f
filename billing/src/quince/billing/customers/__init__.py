"""Customers, their accounts, and the meter each account had on each day."""
