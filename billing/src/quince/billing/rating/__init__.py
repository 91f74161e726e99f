"""Rating: determinants and a tariff become lines of money. It knows no interval."""
