"""beholder-mini: the small embedded model, its statistics, network, training and export."""
