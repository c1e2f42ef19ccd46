"""Hard rules for rationales, checked before any judge is asked (TATAR, section 4 of our spec).

They need no model: form, length, leaked numbers, a verdict against the picture's level, what a task may speak of.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from beholder.task import LEVELS, Task

WORDS: Mapping[Task, tuple[int, int]] = {"quality": (30, 50), "aesthetics": (110, 160)}
"""Fewest and most words of a rationale."""

QUALITY_SENTENCES = 2
FEWEST_ASPECTS = 5
"""Of the eight `ASPECTS`, that a rationale of aesthetics has to touch."""
LONGEST_QUOTE = 15
"""Words in a row that may be those of the notes."""

ASPECTS: Mapping[str, str] = {
    "visual elements": r"visual|colou?r\w*|palette|tones?|line|shapes?|texture",
    "composition": r"compos\w+|framing|frame|arrange\w*|balanced?",
    "gestalt": r"gestalt|whole|unity|unified|parts|coheren\w+",
    "technical": r"technical\w*|sharp\w*|exposure|focus|detail|noise",
    "theme": r"theme\w*|subject|story|message|meaning",
    "emotion": r"emotion\w*|mood|feel\w*|atmosphere",
    "originality": r"original\w*|creativ\w+|fresh|convention\w*|unusual|familiar",
    "overall": r"overall|altogether|in sum",
}
"""The eight aspects of aesthetics, in the order of a narrative, and the words that touch them."""

_MARKERS = re.compile(r"[<>{}`#*]|^\s*(system|user|assistant|tool)\s*:|\[/?INST\]", re.I | re.M)
_NUMBERS = re.compile(r"\d|\bMOS\b|\bscor(e|es|ed|ing)\b|\brat(ing|ings|ed)\b|\bout of (five|ten|a hundred)\b", re.I)
_TECHNICAL = re.compile(
    r"\b(blur\w*|sharp\w*|focus\w*|detail\w*|edges?|nois[ey]\w*|grain\w*|expos\w*|underexpos\w*|overexpos\w*|light|"
    r"bright\w*|dark\w*|contrast|compress\w*|block\w*|artefacts?|artifacts?|colou?rs?|saturat\w*|cast|highlights?|"
    r"shadows?|burnt|black|haz[ey]|banding|resolution|tones?|white balance)\b",
    re.I,
)
_AESTHETIC = re.compile(r"\b(beaut\w+|aesthetic\w*|composition\w*|artistic\w*|emotion\w*|mood|storytelling)\b", re.I)

_MEANING = {word: LEVELS.index(word) for word in LEVELS} | {
    "terrible": 0, "awful": 0, "mediocre": 2, "average": 2, "excellent": 4, "outstanding": 4, "superb": 4,
}  # fmt: skip
_VERDICT = re.compile(
    rf"(?P<before>(?:\b[\w']+\W+){{0,2}})\b(?P<word>{'|'.join(_MEANING)})\s+(?:overall\s+|technical\s+|aesthetic\s+)?"
    r"(?:quality|image|picture|photo|photograph|shot)\b",
    re.I,
)
_NOT = re.compile(r"\b(not|no|never|hardly|isn't|neither)\b", re.I)
_FAR_APART = 2
"""Levels between a picture's own and that of a verdict in its rationale, from which they contradict each other."""


def broken_rule(text: str, task: Task, level: str, notes: str = "") -> str | None:
    """The first rule that a rationale breaks, as `name: what was found`; None where it keeps all.

    `level` is the picture's level word, `notes` what the rationale was made from and may not be copied out of it.

    >>> broken_rule("A sharp picture, 7 of 10.", "quality", "good")
    "numbers: the text says '7'"
    """
    n_words, (fewest, most) = len(text.split()), WORDS[task]
    if found := _MARKERS.search(text):
        return f"format: the text holds {found[0].strip()!r}"
    if found := _NUMBERS.search(text):
        return f"numbers: the text says {found[0]!r}"
    if task == "quality" and (n := n_sentences(text)) != QUALITY_SENTENCES:
        return f"format: {n} sentences; needed are {QUALITY_SENTENCES}"
    if not fewest <= n_words <= most:
        return f"length: {n_words} words; allowed are {fewest} to {most}"
    for verdict in _VERDICT.finditer(text):
        apart = abs(_MEANING[verdict["word"].lower()] - LEVELS.index(level))
        if apart >= _FAR_APART and not _NOT.search(verdict["before"]):
            return f"contradiction: the text says {verdict[0].strip()!r}, the level is {level}"
    return _off_task(text, task) or _copied(text, notes)


def n_sentences(text: str) -> int:
    """Number of sentences: what full stops, exclamation and question marks before a space or the end divide."""
    return len([part for part in re.split(r"[.!?]+(?:\s+|$)", text.strip()) if part])


def touched(text: str) -> list[str]:
    """The aspects of aesthetics that a text touches, by keyword."""
    return [name for name, words in ASPECTS.items() if re.search(rf"\b({words})\b", text, re.I)]


def _off_task(text: str, task: Task) -> str | None:
    if task == "quality":
        if found := _AESTHETIC.search(text):
            return f"off task: the text says {found[0]!r}, which is about aesthetics"
        return None if _TECHNICAL.search(text) else "off task: the text names no technical factor"
    aspects = touched(text)
    if len(aspects) >= FEWEST_ASPECTS:
        return None
    return f"aspects: touches {', '.join(aspects) or 'none'}; needed are {FEWEST_ASPECTS} of {len(ASPECTS)}"


def _copied(text: str, notes: str) -> str | None:
    words, noted = (re.findall(r"[\w']+", source.lower()) for source in (text, notes))
    source = f" {' '.join(noted)} "
    span = LONGEST_QUOTE + 1
    for start in range(len(words) - span + 1):
        if f" {' '.join(words[start : start + span])} " in source:
            return f"copied: {' '.join(words[start : start + span])!r} stands in the notes"
    return None
