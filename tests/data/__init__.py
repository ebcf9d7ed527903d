"""Tests of the data; a package because some of its files share archives."""
