"""Langfuse's client and its wrapper of the openai package, set up by `LANGFUSE_…` variables alone."""

import json

from langfuse import get_client, propagate_attributes
from langfuse.openai import openai

import call

langfuse, client, traces = get_client(), call.client(openai), {}
for name, scene in call.SCENES.items():
    with (
        langfuse.start_as_current_observation(name=name, as_type="agent", input={"scene": name}) as root,
        propagate_attributes(session_id="session-1", user_id="user-1", tags=["weather"]),
    ):
        traces[name] = root.trace_id
        scene(client)
        root.update(output="done")
print(json.dumps(traces))
langfuse.shutdown()
