"""Files and data sets: `tables` of texts and labels in many formats, and two sets of film reviews.

The data sets are in `datasets`, which fetches them with `download`. `files` replaces a file at once or not at all, and
`outputs` checks before any work that nothing is lost when one is written. This page imports none of them, since a
trained model needs `files` alone.
"""
