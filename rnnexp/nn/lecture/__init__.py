"""The networks of the lecture, as they stand on its slides; `published` translates their weights.

The lecture is "Recurrent Neural Networks for Text Classification and Data Prediction" (A. Kak and
C. Bouman, Purdue University, 2 April 2024), its code DLStudio 2.5.8. The layers have DLStudio's
names, so a state_dict of either loads into the other.

They are written to be read: one sequence at a time, one step after the other. The networks of
`rnnexp.nn.cells` compute the same and train many times faster.
"""
