"""Comments that say nothing about a picture, made by seed: what purification has to find among the others."""

from __future__ import annotations

from random import Random

KINDS = ("praise", "off-topic", "other picture", "spam", "ramble")
"""`other picture`: a real critique of another one. `ramble`: 150 to 300 words about something else."""

_PRAISE = (
    (
        "Wow",
        "Great shot",
        "Love it",
        "Amazing",
        "Beautiful work",
        "Stunning",
        "Nice one",
        "Superb",
        "I really like this",
    ),
    ("", " my friend", " as always", ", what a photo", ", just perfect", ", one of your best", ", congratulations"),
    (
        "!",
        "!!!",
        ", keep them coming.",
        ", well done!",
        ", this made my day.",
        ", thank you for sharing.",
        ", 10 from me!",
    ),
)
_SPAM = (
    (
        "Check out my gallery at",
        "Visit",
        "Best prices at",
        "Free followers:",
        "Earn 500 a day from home,",
        "Vote for me on",
    ),
    (" www.best-deals.example", " shop.example/sale", " my-page.example", " fast-cash.example/join"),
    (
        " today only!",
        " and get 70 % off watches and handbags.",
        " - click here, limited offer!",
        ", no credit card needed.",
    ),
)
_OFF_TOPIC = (
    "Has anybody here tried to install the new update on an old laptop?",
    "The bus was late again this morning and I had to walk to the office.",
    "My sister is getting married in {month} and we still need a band.",
    "I think the home team will win the cup this {month}.",
    "Does the forum have a search function for older threads?",
    "We had pasta with tomatoes and basil last night, {number} people at the table.",
    "The price of petrol went up by {number} cents since {month}.",
    "Somebody should fix the login page, I had to type my password {number} times.",
    "Our dog has learned to open the fridge, which is less funny than it sounds.",
    "I am selling a bicycle, {number} gears, hardly used, collection only.",
    "The elections in {month} will change nothing, if you ask me.",
    "Can anyone recommend a dentist who is open on Saturdays?",
    "It has been raining here for {number} days and the cellar is wet.",
    "My exam is in {month} and I have read {number} pages so far.",
    "The concert was sold out within {number} minutes.",
    "Remember that the meeting has been moved to {month}.",
    "I have been a member of this site for {number} years and never got a reply from the staff.",
    "The train to the airport takes {number} minutes if you change at the main station.",
    "Please sign the petition against the new car park.",
    "My grandfather used to say that {number} good friends are worth more than gold.",
)
_MONTHS = ("January", "March", "May", "July", "September", "November")


def make_noise(kind: str, rng: Random, strangers: list[str]) -> str:
    """One comment of a kind; `strangers` are critiques of other pictures."""
    if kind == "other picture":
        return rng.choice(strangers)
    if kind in ("praise", "spam"):
        return "".join(rng.choice(part) for part in (_PRAISE if kind == "praise" else _SPAM))
    if kind == "off-topic":
        return _filled(rng.choice(_OFF_TOPIC), rng)
    length, words = rng.randint(150, 300), list[str]()
    while len(words) < length:
        words += _filled(rng.choice(_OFF_TOPIC), rng).split()
    return " ".join(words)


def _filled(sentence: str, rng: Random) -> str:
    return sentence.format(month=rng.choice(_MONTHS), number=rng.randint(2, 90))
