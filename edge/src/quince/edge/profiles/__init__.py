"""The Modbus meters that are shipped: a profile each, the profiles' schema, and the catalogue."""
