"""Tests of the studies; a package because its files share names with others."""
