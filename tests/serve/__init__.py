"""Tests of the command line; a package because its files share names with others."""
