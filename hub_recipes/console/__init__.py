"""What long work says, and how loud: progress, and the level of messages."""
