"""A DLMS/COSEM meter as a real server: its objects, its two TCP doors, its pushes."""
