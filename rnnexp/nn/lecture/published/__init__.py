"""Converters between our weights and the state dicts of the lecture's networks.

`load_published` loads a published state_dict into one of our networks, `to_published` returns our
weights as such a state_dict, and `literal` returns the equivalent literal network.
"""
