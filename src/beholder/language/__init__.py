"""Asking a model about pictures: questions, answers, who answers them, and a run over many that can be stopped."""
