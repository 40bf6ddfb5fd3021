"""Graphs of layers: symbols stand for arrays while one is drawn, and a plan runs it."""
