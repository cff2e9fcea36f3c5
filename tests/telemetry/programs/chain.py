"""A LangChain chain that retrieves, prompts, lets the model call a tool and answers, below one span of ours."""

import os

from langchain_core.documents import Document
from langchain_core.messages import ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda, RunnablePassthrough
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

import call


class Almanac(BaseRetriever):
    """Finds the same page for every question."""

    def _get_relevant_documents(self, query, *, run_manager):
        return [Document(page_content="Paris lies on the Seine.", metadata={"source": "almanac"})]


@tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return "sunny"


def chain():
    """retriever → prompt → model (asks for the tool) → tool → model → text"""
    model = ChatOpenAI(model=call.MODEL, base_url=os.environ["UPSTREAM"], api_key="sk-upstream", max_retries=0)
    prompt = ChatPromptTemplate.from_messages([("system", "You are a weather desk. {context}"), ("user", "{question}")])

    def use_tool(messages):
        asked = model.bind_tools([get_weather]).invoke(messages)
        results = [
            ToolMessage(content=get_weather.invoke(wanted["args"]), tool_call_id=wanted["id"])
            for wanted in asked.tool_calls
        ]
        return model.invoke([*messages.to_messages(), asked, *results])

    answered = RunnableLambda(use_tool).with_config(run_name="use_tool")
    return {"context": Almanac(), "question": RunnablePassthrough()} | prompt | answered | StrOutputParser()
