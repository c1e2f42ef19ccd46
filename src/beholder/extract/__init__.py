"""Features of raw sound, pictures, text and video: what a model of features needs before it can take a new clip."""
