"""Networks: representation -> recurrence -> readout. They use no files, configs or tasks.

Inside this package time is axis 0, (T, B, ...). Inputs and outputs of a network have the batch as
axis 0, (B, T, ...).
"""
