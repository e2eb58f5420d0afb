"""How close the time loop comes to the limit of the machine."""
