"""How a large log is held: stored tables, seeded draws, limits of the machine."""
