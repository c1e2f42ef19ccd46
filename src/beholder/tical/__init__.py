"""Emotion from several modalities that may disagree: an independent implementation of the published idea of TiCAL."""
