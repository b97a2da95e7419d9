"""Whole jobs whose truth is known, and what their answers lose: synthetic worlds and the table's contexts."""
