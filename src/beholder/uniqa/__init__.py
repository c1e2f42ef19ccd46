"""UniQA (arXiv 2406.01069): a CLIP tuned on texts about pictures, and a small adapter per task on top of it, frozen."""
