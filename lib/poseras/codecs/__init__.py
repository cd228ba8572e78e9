"""Codecs: a file holds both directions of one representation, so that half pixels cancel."""
