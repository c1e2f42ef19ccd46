from dataclasses import replace

from beholder.task import TASKS
from beholder.tatar.prompts import PROMPTS


def test_a_chat_has_one_place_for_a_picture_and_is_new_at_every_call():
    for task in TASKS:
        chat = PROMPTS.messages(task)
        assert [message["role"] for message in chat] == ["system", "user"]
        assert [part["type"] for message in chat for part in message["content"]].count("image") == 1
        chat[1]["content"][0]["image"] = "filled"
        assert "image" not in PROMPTS.messages(task)[1]["content"][0]


def test_tasks_are_asked_differently():
    assert PROMPTS.messages("quality") != PROMPTS.messages("aesthetics")


def test_any_changed_letter_changes_the_digest_and_the_version_alone_does_not():
    changed = [replace(PROMPTS, **{name: getattr(PROMPTS, name) + "."}) for name in ("system", "quality", "aesthetics")]
    assert len({PROMPTS.digest, *(prompts.digest for prompts in changed)}) == 4
    assert replace(PROMPTS, version="other").digest == PROMPTS.digest
