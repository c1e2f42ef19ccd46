"""AlignVAR (arXiv 2603.00589): x4 super-resolution that predicts the picture's tokens scale by scale, in ten steps."""
