"""Networks: representation -> recurrence -> readout. They know no files, configs or tasks.

Time is axis 0 inside this package (T, B, ...); batch is axis 0 at its border (B, T, ...).
"""
