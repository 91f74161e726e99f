"""The commercial side: tariff → determinants → rating → bill (pure); customers, runs, invoices."""
