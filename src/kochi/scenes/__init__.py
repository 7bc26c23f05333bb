"""Scenes with known answers: coloured shapes, what they are called, and where each word is seen.

Made for tests, demonstrations and studies of attention: a picture shows one or two groups of equal
shapes, its caption names them, and for every word that names something there are the boxes that it
must be looked at in. Some names of groups are held out: training scenes never show them, those of
"dev" and "test" always do.
"""
