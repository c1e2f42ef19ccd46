from dataclasses import fields, replace

from beholder.task import TASKS
from beholder.tatar.prompts import PROMPTS


def test_a_chat_has_one_place_for_a_picture_and_is_new_at_every_call():
    for task in TASKS:
        for level, roles in ((False, ["system", "user"]), (True, ["user"])):
            chat = PROMPTS.messages(task, level=level)
            assert [message["role"] for message in chat] == roles
            assert [part["type"] for message in chat for part in message["content"]].count("image") == 1
            chat[-1]["content"][0]["image"] = "filled"
            assert "image" not in PROMPTS.messages(task, level=level)[-1]["content"][0]


def test_tasks_are_asked_differently():
    for level in (False, True):
        assert PROMPTS.messages("quality", level=level) != PROMPTS.messages("aesthetics", level=level)


def test_any_changed_letter_changes_the_digest_and_the_version_alone_does_not():
    texts = [field.name for field in fields(PROMPTS) if field.name != "version"]
    changed = [replace(PROMPTS, **{name: getattr(PROMPTS, name) + "."}) for name in texts]
    assert len({PROMPTS.digest, *(prompts.digest for prompts in changed)}) == 1 + len(texts) == 6
    assert replace(PROMPTS, version="other").digest == PROMPTS.digest
