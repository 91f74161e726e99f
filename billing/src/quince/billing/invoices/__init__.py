"""Invoices: the bills that were issued, each written once and never changed."""
