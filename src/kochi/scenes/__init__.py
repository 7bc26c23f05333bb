"""Scenes of coloured shapes with their captions and the bounding boxes of each word.

Made for tests, demonstrations and studies of attention: an image shows one or two groups of equal
shapes, its caption names them, and every word that names something has the boxes that the model
should attend to. Some names of groups are held out: they never occur in training scenes, and always
in those of "dev" and "test".
"""
