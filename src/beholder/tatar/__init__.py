"""TATAR (arXiv 2603.19779): a multimodal LLM that scores with reasons, short for quality, deliberate for aesthetics."""
