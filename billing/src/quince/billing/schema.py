"""The tables of this distribution, under one roof: each store declares its own here."""

from sqlalchemy import MetaData

METADATA = MetaData()
