"""What a technician needs beside a meter: any frame explained, layer by layer."""
