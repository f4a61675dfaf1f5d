"""What can be read out of a frozen layer."""
