"""What a training is compared with: answers that need no network."""
