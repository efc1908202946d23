"""The shapes of OpenAI's chat completions and models, as far as this server speaks them.

From github.com/openai/openai-openapi (`openapi.yaml`). Unknown fields are ignored, known ones are
strict. Knows nothing of the engine: `openai_requests` and `openai_answers` translate.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

MAX_TOOLS = 128
MAX_CHOICES = 8
MAX_MESSAGES = 2048
MAX_STOPS = 4


@dataclass(eq=False)
class ApiError(Exception):
    """An answer that is an error, in OpenAI's shape.

    Attributes
    ----------
    status: The HTTP status.
    kind: OpenAI's `type` of the error.
    param: The field of the request that is wrong, such as `messages[0].content`.
    """

    status: int
    message: str
    kind: str = "invalid_request_error"
    param: str | None = None
    code: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """The error object, always with its four keys."""
        return {
            "error": {
                "message": self.message,
                "type": self.kind,
                "param": self.param,
                "code": self.code,
            }
        }


def invalid(message: str, param: str | None = None, code: str | None = None) -> ApiError:
    """The request is wrong: 400."""
    return ApiError(400, message, param=param, code=code)


class _In(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


class ContentPart(_In):
    """A part of a message; only text is read."""

    type: str
    text: str | None = None
    refusal: str | None = None


class CalledFunction(_In):
    name: str
    arguments: str = ""


class MessageCall(_In):
    """A call that an assistant made earlier."""

    id: str = Field(min_length=1)
    type: Literal["function"] = "function"
    function: CalledFunction


class ChatMessage(_In):
    """One turn as it comes over the wire; which fields belong to which role is checked later."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[ContentPart] | None = None
    tool_calls: list[MessageCall] | None = Field(None, max_length=MAX_TOOLS)
    tool_call_id: str | None = None


class OfferedFunction(_In):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None


class OfferedTool(_In):
    """A function that the model may call."""

    type: Literal["function"]
    function: OfferedFunction


class StreamOptions(_In):
    include_usage: bool | None = None


Stop = Annotated[str, Field(min_length=1)]


class ChatRequest(_In):
    """The body of POST /v1/chat/completions.

    The fields below `seed` exist to be refused by name: this server does not do what they ask.
    """

    model: str
    messages: list[ChatMessage] = Field(min_length=1, max_length=MAX_MESSAGES)
    tools: list[OfferedTool] | None = Field(None, max_length=MAX_TOOLS)
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2, allow_inf_nan=False)
    top_p: float | None = Field(None, ge=0, le=1, allow_inf_nan=False)
    n: int | None = Field(None, ge=1, le=MAX_CHOICES)
    stop: Stop | Annotated[list[Stop], Field(max_length=MAX_STOPS)] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=20)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    seed: int | None = Field(None, ge=-(2**63), le=2**63 - 1)
    logit_bias: Any = None
    presence_penalty: Any = None
    frequency_penalty: Any = None
    response_format: Any = None
    modalities: Any = None
    audio: Any = None
    web_search_options: Any = None
    functions: Any = None
    function_call: Any = None

    @property
    def stops(self) -> tuple[str, ...]:
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())

    @property
    def wants_usage(self) -> bool:
        """Whether a stream ends with a usage chunk."""
        return bool(self.stream_options and self.stream_options.include_usage)


class _Out(BaseModel):
    """Fields in `optional` are left out when they are None; the others are then null."""

    optional: ClassVar[frozenset[str]] = frozenset()

    @model_serializer(mode="wrap")
    def _leave_out(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = handler(self)
        return {k: v for k, v in fields.items() if v is not None or k not in self.optional}


class Function(_Out):
    """A call, or a fragment of one; a whole one has both fields."""

    optional: ClassVar[frozenset[str]] = frozenset({"name", "arguments"})
    name: str | None = None
    arguments: str | None = None


class Call(_Out):
    id: str
    type: Literal["function"] = "function"
    function: Function


class AnswerMessage(_Out):
    optional: ClassVar[frozenset[str]] = frozenset({"tool_calls"})
    role: Literal["assistant"] = "assistant"
    content: str | None
    refusal: str | None = None
    tool_calls: list[Call] | None = None


FinishReason = Literal["stop", "length", "tool_calls"]


class TopLogprob(_Out):
    """A token in the place of another; `bytes` is null where it is no text by itself."""

    token: str
    logprob: float
    bytes: list[int] | None


class TokenLogprob(TopLogprob):
    top_logprobs: list[TopLogprob]


class Logprobs(_Out):
    """Of all tokens as the model wrote them, those of calls too."""

    content: list[TokenLogprob]
    refusal: None = None


class Choice(_Out):
    index: int
    message: AnswerMessage
    logprobs: Logprobs | None = None
    finish_reason: FinishReason


class PromptTokensDetails(_Out):
    cached_tokens: int = 0


class Usage(_Out):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails


class ChatCompletion(_Out):
    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: Usage
    system_fingerprint: str | None = None


class CallDelta(_Out):
    """A fragment of a call; `id`, `type` and the name come once, in a call's first fragment."""

    optional: ClassVar[frozenset[str]] = frozenset({"id", "type"})
    index: int
    id: str | None = None
    type: Literal["function"] | None = None
    function: Function


class Delta(_Out):
    optional: ClassVar[frozenset[str]] = frozenset({"role", "content", "tool_calls"})
    role: Literal["assistant"] | None = None
    content: str | None = None
    tool_calls: list[CallDelta] | None = None


class ChunkChoice(_Out):
    index: int
    delta: Delta
    logprobs: Logprobs | None = None
    finish_reason: FinishReason | None = None


class Chunk(_Out):
    """One event of a stream. `usage` is null in every chunk but the last, when it was asked for."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChunkChoice]
    system_fingerprint: str | None = None
    usage: Usage | None = None


class Model(_Out):
    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "fcray"


class ModelList(_Out):
    object: Literal["list"] = "list"
    data: list[Model]
