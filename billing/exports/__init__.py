"""Exports of any size, written in the background: ``jobs`` says who may ask for what, ``runs`` writes, ``writers`` knows the kinds."""
