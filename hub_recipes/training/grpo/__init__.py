"""TRL's GRPO, with shared prompts and a frozen oracle."""
