"""What a gateway is told to do: believed, kept, done at most once, answered."""
