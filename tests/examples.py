"""Tools and examples that several tests share: two languages, no call, several calls, several turns."""

from __future__ import annotations

from collections.abc import Sequence

from fcray.tools import Example, Message, Origin, Tool, ToolCall

WEATHER = Tool(
    name="get_weather",
    description="Weather forecast for a city.",
    parameters={
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "the city's name"},
            "days": {"type": "integer", "minimum": 1, "maximum": 7},
            "unit": {"enum": ["celsius", "fahrenheit"]},
        },
        "required": ["city"],
    },
)
REMIND = Tool(
    name="set_reminder",
    description="Remind the user.",
    parameters={
        "type": "object",
        "properties": {
            "text": {"type": "string"},
            "at": {
                "type": "object",
                "properties": {"hour": {"type": "integer"}, "minute": {"type": "integer"}},
                "required": ["hour"],
            },
        },
        "required": ["text", "at"],
    },
)
TOOLS = (WEATHER, REMIND)


def user(text: str) -> Message:
    return Message(role="user", content=text)


def example(
    request: str | Sequence[Message],
    *calls: ToolCall,
    response: str = "",
    tools: Sequence[Tool] = TOOLS,
) -> Example:
    """An example with these gold calls; `request` is the user's words or the whole conversation."""
    messages = (user(request),) if isinstance(request, str) else tuple(request)
    return Example(
        id="e",
        messages=messages,
        tools=tuple(tools),
        calls=calls,
        response=response,
        origin=Origin(generator="test", language="en", domain="test", kind="call"),
    )


def weather(**arguments: object) -> ToolCall:
    return ToolCall(name="get_weather", arguments=dict(arguments))


def remind(text: str, **at: int) -> ToolCall:
    return ToolCall(name="set_reminder", arguments={"text": text, "at": at})


CONVERSATION = (
    Message(role="system", content="Be brief."),
    user("How warm is it in Oslo?"),
    Message(role="assistant", content="Let me see.", tool_calls=(weather(city="Oslo"),)),
    Message(role="tool", content='{"celsius": -3}'),
    Message(role="assistant", content="It is -3 °C."),
    user("And in Rome?"),
)

EXAMPLES = (
    example("What is the weather in Paris tomorrow?", weather(city="Paris", days=1)),
    example("北京未来三天的天气怎么样？", weather(city="北京", days=3, unit="celsius")),
    example("Who are you?", response="I am an assistant that calls functions."),
    example("Wake me at 7:30.", remind("wake up", hour=7, minute=30), tools=(REMIND,)),
    example("Oslo and Rome, please", weather(city="Oslo"), weather(city="Rome")),
    example(CONVERSATION, weather(city="Rome")),
    example("天气", weather(city="上海"), response="我来查一下。"),
    example("Hello!", response="Hi.", tools=(REMIND,)),
    example("Lima", weather(city="Lima", unit="fahrenheit")),
)
