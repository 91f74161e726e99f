"""What is asked of meters, whatever they speak: one folder for each way."""
