"""What is optimised: rewards, losses, and the rows that they are computed on."""
