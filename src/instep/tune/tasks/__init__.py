"""What the language model may be tuned for: one file a task."""
