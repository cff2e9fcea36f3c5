#!/usr/bin/env python3
"""What Hugging Face's implementation makes of published chat templates: the reference for `model`'s own.

Prints templates, conversations, and for each pair the text that `transformers` renders, or what the template
refuses with. The templates are those that trl ships (Apache-2.0), the one inside SmolLM2's GGUF file, and two
written here. With `--all` every template of trl is rendered: a wider check, not committed.

    chat_templates.py PATH/smollm2-135m-instruct-q4_1.gguf [--all]
"""

import copy
import importlib.util
import json
import sys
from datetime import datetime
from pathlib import Path

import jinja2
from gguf import GGUFReader
from transformers.utils import chat_template_utils

COMMITTED = ["gemma3", "llama3", "llama3_1", "llama3_2", "qwen2_5", "qwen2_5_training", "qwen3", "phi3"]
COMMITTED += ["deepseekv3", "gptoss", "nemotron_3_nano"]
WRITTEN = {
    "chatml": "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    "mistral": "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token}}"
    "{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}",
}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Current weather <in a place> & its \"feel\": é, 天気",
        "parameters": {
            "type": "object",
            "properties": {
                "place": {"type": "string", "description": "City"},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"},
                "days": {"type": "number", "maximum": 7.5, "minimum": 1e-05},
            },
            "required": ["place"],
        },
    },
}
CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "get_weather", "arguments": '{"place": "Zürich", "days": 2.0, "exact": true}'},
}
CONVERSATIONS = {
    "question": {"messages": [{"role": "user", "content": "  Are dogs real?\n"}], "add_generation_prompt": True},
    "system": {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "2+2?"},
            {"role": "assistant", "content": "4"},
            {"role": "user", "content": "It's \"4\"? Sure?"},
        ],
        "add_generation_prompt": True,
    },
    "finished": {
        "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "<think>hm</think>\n\nHello"}],
        "add_generation_prompt": False,
    },
    "out_of_order": {
        "messages": [{"role": "assistant", "content": "Hi"}, {"role": "assistant", "content": "there"}],
        "add_generation_prompt": False,
    },
    "tools": {
        "messages": [
            {"role": "user", "content": "Weather in Zürich?"},
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "call_1", "content": "{\"celsius\": 21.5}"},
            {"role": "user", "content": "Thanks"},
        ],
        "tools": [WEATHER],
        "add_generation_prompt": True,
    },
}
VARIABLES = {"bos_token": "<BOS>", "eos_token": "<EOS>", "date_string": "26 Jul 2024"}


class ReferenceDay(datetime):
    """A clock that stands still, so that the outputs do not depend on the day they were made."""

    @classmethod
    def now(cls, tz=None):
        return cls(2024, 7, 26, 12, tzinfo=tz)


def main() -> None:
    # What `strftime_now` reads.
    chat_template_utils.datetime = ReferenceDay
    templates = {"smollm2": template_of(sys.argv[1]), **WRITTEN}
    folder = Path(importlib.util.find_spec("trl").submodule_search_locations[0]) / "chat_templates"
    everything = "--all" in sys.argv
    names = sorted(path.stem for path in folder.glob("*.jinja")) if everything else COMMITTED
    templates.update({name: (folder / f"{name}.jinja").read_text() for name in names})
    outputs = [case for template in templates for case in cases(template, templates[template])]
    document = {"templates": templates, "conversations": CONVERSATIONS, "outputs": outputs}
    print(json.dumps(document, ensure_ascii=False, indent=1))


def template_of(gguf: str) -> str:
    return GGUFReader(gguf).fields["tokenizer.chat_template"].contents()


def cases(name: str, template: str):
    for conversation, given in CONVERSATIONS.items():
        case = {"template": name, "conversation": conversation}
        try:
            yield {**case, "text": render(template, given)}
        except jinja2.TemplateError as error:
            # Its subclasses are the engine's own words; only what the template says is compared.
            if type(error) is jinja2.TemplateError:
                yield {**case, "refused": str(error)}
        except TypeError as error:
            print(f"{name} does not take {conversation}: {error}", file=sys.stderr)


def render(template: str, given: dict) -> str:
    rendered, _ = chat_template_utils.render_jinja_template(
        conversations=[as_templates_read_them(given["messages"])],
        tools=given.get("tools"),
        chat_template=template,
        add_generation_prompt=given["add_generation_prompt"],
        **VARIABLES,
    )
    return rendered[0]


def as_templates_read_them(messages: list[dict]) -> list[dict]:
    """Hugging Face wants the arguments of calls as objects, and a content."""
    messages = copy.deepcopy(messages)
    for message in messages:
        message["content"] = message["content"] or ""
        for call in message.get("tool_calls", []):
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    return messages


if __name__ == "__main__":
    main()
