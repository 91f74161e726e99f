"""What the objects of a meter say and can be told."""
