"""Tables of texts and labels in many formats, two sets of film reviews, and what is checked before a file is written.

`tables` reads and writes; the data sets are in `datasets`, which fetches them with `download`; `outputs` checks before
any work that nothing is lost when a file is written.
"""
