"""What the commands read: texts or sequences, and what is known of them."""
