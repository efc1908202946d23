"""Requests in, calls out: one base model, named adapters, prefix reuse, batches and grammars.

Evaluation and serving share this engine, so what is measured is what is served. Knows nothing of HTTP, Ray
or gold answers. An engine is used by one thread at a time.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from fcray.errors import FcrayError, UserError
from fcray.inference.cache import Batch, Prefix, PrefixCache, read_prefix
from fcray.inference.grammar import GrammarCompiler, Matcher
from fcray.models import BaseModel
from fcray.prompting import CALL_CLOSE, Prompt, Renderer, parse
from fcray.tools import Message, Tool, ToolCall

ToolChoice = str
"""`auto`, `none`, `required`, or the name of the one tool to call (OpenAI's `tool_choice`)."""

FinishReason = Literal["stop", "tool_calls", "length"]


@dataclass(frozen=True)
class Request:
    """What to answer.

    Attributes
    ----------
    adapter: The name of a loaded adapter; None answers with the base model.
    tool_choice: See `ToolChoice`; a tool's own name wins over the three words.
    constrained: Whether the grammar holds the answer to the tools' schemas.
    temperature: 0 takes the most likely token.
    """

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    adapter: str | None = None
    tool_choice: ToolChoice = "auto"
    parallel: bool = True
    constrained: bool = True
    max_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None


@dataclass(frozen=True)
class Completion:
    """An answer.

    Attributes
    ----------
    text: As the model wrote it, calls included.
    calls: The calls in it; only whole ones.
    content: The words outside the calls.
    problem: Why a call could not be read, if one could not.
    cached_tokens: How many of the prompt's tokens were not computed again.
    steps: Model steps that the answer's batch took; forced tokens take none of their own.
    seconds: From the start of its batch to its own last token.
    """

    text: str
    calls: tuple[ToolCall, ...]
    content: str
    problem: str | None
    finish_reason: FinishReason
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    steps: int
    seconds: float


@dataclass
class _Row:
    """One answer under way."""

    request: Request
    prompt: Prompt
    matcher: Matcher | None
    generator: torch.Generator | None
    turn: list[int]
    output: list[int] = field(default_factory=list)
    reason: FinishReason | None = None
    seconds: float = 0.0
    steps: int = 0


class Engine:
    """Answers requests with one base model and any number of adapters.

    Parameters
    ----------
    base: The base model.
    batch: How many requests to answer at a time.
    prefix_bytes: Bound on the kept keys and values of tool lists.
    """

    def __init__(self, base: BaseModel, *, batch: int = 16, prefix_bytes: int = 1 << 30) -> None:
        self.base = base
        self.renderer = Renderer(base.tokenizer)
        self._batch = batch
        self._prefixes = PrefixCache(prefix_bytes)
        self._vocab_size = base.model.config.get_text_config().vocab_size
        self._grammars: GrammarCompiler | None = None
        self._peft: Any = None
        self._adapters: set[str] = set()

    @property
    def adapters(self) -> frozenset[str]:
        return frozenset(self._adapters)

    def load_adapter(self, name: str, folder: str | Path) -> None:
        """Load the PEFT adapter in `folder` under `name`; safetensors only.

        Raises
        ------
        UserError: The folder holds no adapter, or one for another base.
        """
        import peft
        from safetensors import SafetensorError

        if name in self._adapters:
            return
        if not (Path(folder) / "adapter_model.safetensors").is_file():
            raise UserError(f"{folder} holds no adapter_model.safetensors")
        try:
            if self._peft is None:
                config = peft.PeftConfig.from_pretrained(str(folder))
                config.inference_mode = True
                self._peft = peft.PeftModel(self.base.model, config, adapter_name=name)
            loaded = self._peft.load_adapter(str(folder), adapter_name=name, use_safetensors=True)
            if loaded.unexpected_keys:  # PEFT only warns
                raise ValueError(f"there is no place for {loaded.unexpected_keys[0]}")
        except (ValueError, RuntimeError, KeyError, SafetensorError) as error:
            self._remove(name)
            reason = " ".join(str(error).splitlines()[:2])
            raise UserError(f"the adapter in {folder} does not fit the base: {reason}") from error
        self._peft.requires_grad_(False).eval()
        self._adapters.add(name)

    def _remove(self, name: str) -> None:
        """Take an adapter's layers out of the model, also those of one that failed half-way."""
        if self._peft is not None and name in self._peft.peft_config:
            self._peft.delete_adapter(name)
        if self._peft is not None and not self._adapters:
            self._peft.unload()
            self._peft = None

    def unload_adapter(self, name: str) -> None:
        """Forget an adapter and what was computed with it."""
        if name not in self._adapters:
            return
        self._adapters.discard(name)
        self._prefixes.forget(lambda key: key[0] == name)
        self._remove(name)

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        """Answer all requests, in their order.

        Raises
        ------
        UserError: A request names an adapter that is not loaded, or tools that cannot be enforced.
        """
        prompts = [self.renderer.prompt(r.messages, r.tools) for r in requests]
        groups: dict[tuple[str | None, tuple[int, ...]], list[int]] = defaultdict(list)
        for index, (request, prompt) in enumerate(zip(requests, prompts, strict=True)):
            groups[request.adapter, prompt.prefix].append(index)
        answers: dict[int, Completion] = {}
        for (adapter, _), members in groups.items():
            members.sort(key=lambda i: len(prompts[i].body))  # like lengths together: fewer holes
            for start in range(0, len(members), self._batch):
                chunk = members[start : start + self._batch]
                with torch.inference_mode(), self._using(adapter):
                    rows = [self._row(requests[i], prompts[i]) for i in chunk]
                    done = self._run(rows, adapter)
                answers.update(zip(chunk, done, strict=True))
        return [answers[i] for i in range(len(requests))]

    @contextmanager
    def _using(self, adapter: str | None) -> Iterator[None]:
        if adapter is not None and adapter not in self._adapters:
            raise UserError(f"no adapter {adapter!r} is loaded")
        outside: AbstractContextManager[Any] = nullcontext()
        if adapter is not None:
            self._peft.set_adapter(adapter, inference_mode=True)
        elif self._peft is not None:
            outside = self._peft.disable_adapter()
        with outside:
            yield

    def _row(self, request: Request, prompt: Prompt) -> _Row:
        matcher = self._matcher(request)
        generator = None
        if request.temperature > 0 and request.seed is not None:
            generator = torch.Generator(self.base.device).manual_seed(request.seed)
        forced = matcher.forced()[: request.max_tokens] if matcher else []
        return _Row(request, prompt, matcher, generator, [*prompt.body, *forced], list(forced))

    def _matcher(self, request: Request) -> Matcher | None:
        if not request.constrained or not request.tools:
            return None
        if self._grammars is None:
            self._grammars = GrammarCompiler(self.base.tokenizer, self._vocab_size)
        named = [tool for tool in request.tools if tool.name == request.tool_choice]
        choice = "required" if named else request.tool_choice
        return self._grammars.matcher(
            named or request.tools,
            plain=choice != "required",
            call=choice != "none",
            parallel=request.parallel and not named,
        )

    def _run(self, rows: list[_Row], adapter: str | None) -> list[Completion]:
        started = time.perf_counter()
        decoder, head = self.base.model.base_model, self.base.model.get_output_embeddings()
        tokens = rows[0].prompt.prefix

        def compute() -> Prefix:
            return read_prefix(decoder, tokens, self.base.device)

        prefix, cached = self._prefixes.get((adapter, tokens), compute)
        room = max(len(row.turn) for row in rows) + max(row.request.max_tokens for row in rows)
        batch = Batch(decoder, head, prefix, len(rows), room)
        alive = list(rows)
        while alive:
            logits = batch.append([row.turn for row in alive]).float()
            for row, scores in zip(alive, logits, strict=True):
                row.steps += 1
                self._advance(row, scores)
                row.seconds = time.perf_counter() - started
            going = [i for i, row in enumerate(alive) if row.reason is None]
            if going and len(going) < len(alive):
                batch.keep(going)
            alive = [alive[i] for i in going]
        return [self._completion(row, len(tokens) if cached else 0) for row in rows]

    def _advance(self, row: _Row, scores: torch.Tensor) -> None:
        """Choose the next token of a row, add what it forces, and see whether the answer ends."""
        if row.matcher is not None:
            allowed = torch.from_numpy(row.matcher.allowed()).to(scores.device)
            scores = scores.masked_fill(~allowed, -torch.inf)
        token = _sample(scores, row.request, row.generator)
        if token in self.renderer.end:
            row.reason = "stop"
            return
        row.turn = [token]
        if row.matcher is not None:
            row.matcher.consume(token)
            row.turn += row.matcher.forced()
        row.turn = [t for t in row.turn if t not in self.renderer.end]
        row.output += row.turn
        left = row.request.max_tokens - len(row.output)
        if row.matcher is not None and row.matcher.done and left >= 0:
            row.reason = "stop"
        elif left <= 0:
            row.output = row.output[: row.request.max_tokens]
            row.reason = "length"

    def _completion(self, row: _Row, cached: int) -> Completion:
        if row.reason is None:
            raise FcrayError("an answer was taken before its end")
        text = self.base.tokenizer.decode(row.output, skip_special_tokens=True)
        parsed = parse(text)
        reason = row.reason
        whole = parsed.problem is None and text.endswith(CALL_CLOSE)
        if parsed.calls and (reason == "stop" or (row.matcher is not None and whole)):
            reason = "tool_calls"
        return Completion(
            text=text,
            calls=parsed.calls,
            content=parsed.text,
            problem=parsed.problem,
            finish_reason=reason,
            prompt_tokens=len(row.prompt),
            completion_tokens=len(row.output),
            cached_tokens=cached,
            steps=row.steps,
            seconds=row.seconds,
        )


def _sample(scores: torch.Tensor, request: Request, generator: torch.Generator | None) -> int:
    if request.temperature <= 0:
        return int(scores.argmax())
    probabilities = torch.softmax(scores / request.temperature, dim=-1)
    if request.top_p < 1:
        ordered, index = probabilities.sort(descending=True)
        beyond = ordered.cumsum(-1) - ordered > request.top_p
        probabilities = torch.zeros_like(probabilities).scatter(
            -1, index, ordered.masked_fill(beyond, 0.0)
        )
    return int(torch.multinomial(probabilities, 1, generator=generator))
