"""The model zoo. One file a model, in the folder of the taxonomy's branch that defines it.

`base` says what every model is and gets, `layers` holds modules that several models share, `registry` lists
them. Models touch no disk, choose no device and import no other model; formulas that are not modules belong
in `functional`, loops over epochs in `training`.
"""
