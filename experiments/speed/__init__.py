"""How near the time loop comes to the machine's limit."""
