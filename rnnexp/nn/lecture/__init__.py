"""The lecture's networks, written as on its slides; `published` converts their weights.

The lecture is "Recurrent Neural Networks for Text Classification and Data Prediction" (A. Kak and
C. Bouman, Purdue University, 2 April 2024); its code is DLStudio 2.5.8. The layers have DLStudio's
names, so a state_dict can be exchanged in both directions.

These literal networks are written for the reader: one sequence at a time, step by step. Networks of
`rnnexp.nn.cells` compute the same and train many times faster.
"""
