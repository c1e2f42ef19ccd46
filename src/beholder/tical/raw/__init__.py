"""From sound, pictures and text to features: extractors, what they learn, and what a model keeps of them."""
