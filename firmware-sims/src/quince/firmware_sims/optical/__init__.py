"""A simulated IEC 62056-21 meter behind an optical head: a pseudo-terminal that minds its baud."""
