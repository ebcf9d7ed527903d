"""Files and data sets: `tables` of texts and labels in many formats, and three sets of opinions.

The data sets are in `datasets` and `opinions`, which fetch them with `download` and pip. `files` replaces a file at
once or not at all, and `outputs` checks before any work that nothing is lost when one is written. This page imports
none of them, since a trained model needs `files` alone.
"""
