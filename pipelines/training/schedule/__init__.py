"""How long a training lasts, and how its learning rate falls over that time."""
