"""A customer's accounts and the meters that measure them."""
