"""Networks: representation -> recurrence -> readout. Nothing here knows of files, configs or tasks.

Time is axis 0 inside this package (T, B, ...); batch is axis 0 at its border (B, T, ...).
"""
