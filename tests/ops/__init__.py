"""Tests of the kernels; a package because some of its files share problems."""
