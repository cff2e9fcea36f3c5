"""The chain below a span of ours, watched by the instrumentation that `WATCHED_BY` names, all through our `init`."""

import json
import os

import quarterdeck

import call
import chain

assert quarterdeck.init(service="weather-desk")
if os.environ["WATCHED_BY"] == "openinference":
    from openinference.instrumentation.langchain import LangChainInstrumentor
else:
    from opentelemetry.instrumentation.langchain import LangchainInstrumentor as LangChainInstrumentor
LangChainInstrumentor().instrument()


@quarterdeck.trace(name="desk", kind="agent")
def desk(question):
    return {"answer": chain.chain().invoke(question), "trace": quarterdeck.current_span().trace_id}


with quarterdeck.scope(session="session-1", user="user-1"):
    print(json.dumps(desk(call.QUESTION["content"])))
