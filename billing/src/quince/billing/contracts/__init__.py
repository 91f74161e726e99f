"""Contracts: the tariff versions a tenant offers, each written once."""
