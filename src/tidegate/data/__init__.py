"""Tables of texts and labels in many formats, three sets of opinions, and what is checked before a file is written.

`tables` reads and writes; the data sets are in `datasets` and `opinions`, which fetch them with `download` and pip;
`outputs` checks before any work that nothing is lost when a file is written.
"""
