"""Tests of the page in a real browser; a package because they share what finds their way about it."""
