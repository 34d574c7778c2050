"""Examples as prompts: the messages, the records as they are described, the prompt configs."""
