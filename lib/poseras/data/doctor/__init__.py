"""The data doctor: what is wrong, or looks wrong, in the files of a data set.

`examination.examine` reads what `dataset.yaml` names and gives a `findings.Report`. Files that the
loaders refuse are read here all the same, because naming what they are refused for is the purpose.
"""
