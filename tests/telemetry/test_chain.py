"""A real LangChain chain below a span of ours: every step arrives, under its parent, as what it is."""

import pytest

# What the chain in programs/chain.py does, by hand: each step, its kind and the step that it stands under. The two
# instrumentations differ in the names that they give, in what they call a prompt's step, and Traceloop says of the whole
# sequence `invoke_agent`.
STEPS = {
    "openinference": [
        ("desk", "agent", None),
        ("RunnableSequence", "chain", "desk"),
        ("RunnableParallel<context,question>", "chain", "RunnableSequence"),
        ("Almanac", "retriever", "RunnableParallel<context,question>"),
        ("RunnablePassthrough", "chain", "RunnableParallel<context,question>"),
        ("ChatPromptTemplate", "prompt", "RunnableSequence"),
        ("use_tool", "chain", "RunnableSequence"),
        ("ChatOpenAI", "llm", "use_tool"),
        ("get_weather", "tool", "use_tool"),
        ("ChatOpenAI", "llm", "use_tool"),
        ("StrOutputParser", "chain", "RunnableSequence"),
    ],
    "traceloop": [
        ("desk", "agent", None),
        ("RunnableSequence.workflow", "agent", "desk"),
        ("execute_task RunnableParallel<context,question>", "chain", "RunnableSequence.workflow"),
        ("vector_db_retrieve Almanac", "retriever", "execute_task RunnableParallel<context,question>"),
        ("execute_task RunnablePassthrough", "chain", "execute_task RunnableParallel<context,question>"),
        ("execute_task ChatPromptTemplate", "chain", "RunnableSequence.workflow"),
        ("execute_task use_tool", "chain", "RunnableSequence.workflow"),
        ("ChatOpenAI.chat", "llm", "execute_task use_tool"),
        ("execute_tool get_weather", "tool", "execute_task use_tool"),
        ("ChatOpenAI.chat", "llm", "execute_task use_tool"),
        ("execute_task StrOutputParser", "chain", "RunnableSequence.workflow"),
    ],
}
SYSTEM_WORDS = "You are a weather desk. [Document(metadata={'source': 'almanac'}, page_content='Paris lies on the Seine.')]"


@pytest.fixture(params=STEPS)
def watched(request):
    return request.param


@pytest.fixture
def spans(telemetry, watched):
    played = telemetry.play("langchain_desk.py", (("WATCHED_BY", watched),))
    assert played["answer"] == "It is sunny in Paris."
    return telemetry.spans(played["trace"])


def test_every_step_stands_under_its_parent(spans, watched):
    names = {span["span_id"]: span["name"] for span in spans}
    found = [(span["name"], span["kind"], names.get(span["parent_id"])) for span in spans]
    assert sorted(found, key=str) == sorted(STEPS[watched], key=str)


def test_the_model_calls_have_messages_tokens_and_cost(spans):
    first, second = sorted((span for span in spans if span["kind"] == "llm"), key=lambda span: span["start_time"])
    for call in (first, second):
        assert (call["provider"], call["model"]) == ("openai", "gpt-4o-mini")
        assert (call["input_tokens"], call["output_tokens"]) == (20, 7)
        # As in test_dialects: 20 × $0.15 and 7 × $0.60 for a million.
        assert call["cost_picodollars"] == 7_200_000
        assert call["input"][0] == {"role": "system", "content": SYSTEM_WORDS}
    assert first["output"][0]["tool_calls"][0]["function"]["name"] == "get_weather"
    assert [message["role"] for message in second["input"]] == ["system", "user", "assistant", "tool"]
    assert second["output"][0]["content"] == "It is sunny in Paris."


def test_the_chain_counts_once(spans):
    assert sum(span["input_tokens"] or 0 for span in spans) == 40
    assert [span["kind"] for span in spans if span["cost_picodollars"]] == ["llm", "llm"]


def test_the_retriever_and_the_tool_have_what_went_in_and_out(spans):
    retriever = next(span for span in spans if span["kind"] == "retriever")
    tool = next(span for span in spans if span["kind"] == "tool")
    assert "What is the weather in Paris?" in str(retriever["input"])
    assert "Paris lies on the Seine." in str(retriever["output"])
    assert "Paris" in str(tool["input"]) and "sunny" in str(tool["output"])


def test_session_and_user_reach_the_spans_of_others(spans):
    assert {(span["session_id"], span["user_id"]) for span in spans} == {("session-1", "user-1")}
