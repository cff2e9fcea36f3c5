"""Our own package, telling by hand what the others find out: for calls that nothing instruments."""

import json

import quarterdeck

import call


def told(name, scene, client):
    """Plays a scene through a client that tells its span what was asked and answered."""
    with quarterdeck.span(name, kind="agent") as root, quarterdeck.scope(session="session-1", user="user-1", tags=["weather"]):
        scene(Telling(client))
    return root.trace_id


class Telling:
    """Has `chat.completions.create`, as the openai package does."""

    def __init__(self, client):
        self.chat = self.completions = self
        self.client = client

    def create(self, **asked):
        with quarterdeck.span("chat", kind="llm") as work:
            parameters = {name: asked[name] for name in ("temperature", "max_tokens") if name in asked}
            work.set_model(asked["model"], provider="openai")
            work.set_parameters(**parameters)
            work.set_messages(input=asked["messages"])
            if asked.get("stream"):
                return list(self.pieces(work, self.client.chat.completions.create(**asked)))
            answer = self.client.chat.completions.create(**asked)
            work.set_model(asked["model"], answered=answer.model)
            work.set_messages(output=[answer.choices[0].message])
            self.usage(work, answer.usage)
            return answer

    def pieces(self, work, stream):
        text = ""
        for chunk in stream:
            if chunk.usage:
                work.set_model(chunk.model, answered=chunk.model)
                self.usage(work, chunk.usage)
            elif chunk.choices[0].delta.content:
                if not text:
                    work.first_token()
                text += chunk.choices[0].delta.content
            yield chunk
        work.set_messages(output=text)

    def usage(self, work, usage):
        work.set_usage(
            input_tokens=usage.prompt_tokens,
            output_tokens=usage.completion_tokens,
            cached_tokens=usage.prompt_tokens_details.cached_tokens,
        )


assert quarterdeck.init(service="weather-desk", environment="staging", release="1.4.0")
client = call.client()
print(json.dumps({name: told(name, scene, client) for name, scene in call.SCENES.items()}))
