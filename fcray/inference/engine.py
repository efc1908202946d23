"""Requests in, calls out: one base model, named adapters, prefix reuse, batches, grammars and guesses.

Evaluation and serving share this engine, so what is measured is what is served. Knows nothing of HTTP, Ray
or gold answers. An engine is used by one thread at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import torch

from fcray.inference import attention
from fcray.inference.adapters import Adapters
from fcray.inference.batch import Batch
from fcray.inference.cache import Prefix, PrefixCache, read_prefix
from fcray.inference.grammar import GrammarCompiler, Matcher
from fcray.inference.group import Asked, Group
from fcray.inference.requests import Completion, Delta, Request
from fcray.inference.row import Row
from fcray.models import BaseModel
from fcray.prompting import Prompt, Renderer

SHORT = 511
"""Requests of so many tokens and fewer are answered together; longer ones with those of less than twice
their size, for each has the room of the longest."""


class Engine:
    """Answers requests with one base model and any number of adapters.

    Parameters
    ----------
    base: The base model.
    batch: How many requests to answer at a time.
    prefix_bytes: Bound on the kept keys and values of tool lists.
    answer_bytes: Bound on those of answers under way: fewer are answered at a time where they are larger.
    guess: Whether what was said is looked up for how an answer goes on, which saves steps and changes
        no answer.
    """

    def __init__(
        self,
        base: BaseModel,
        *,
        batch: int = 128,
        prefix_bytes: int = 1 << 30,
        answer_bytes: int = 4 << 30,
        guess: bool = True,
    ) -> None:
        self.base = base
        self.renderer = Renderer(base.tokenizer)
        self._batch = batch
        self._answer_bytes = answer_bytes
        self._guess = guess
        self._prefixes = PrefixCache(prefix_bytes)
        self._vocab_size = base.model.config.get_text_config().vocab_size
        self._grammars: GrammarCompiler | None = None
        self._adapters = Adapters(base)
        attention.use(base.model)

    @property
    def adapters(self) -> frozenset[str]:
        return frozenset(self._adapters.names)

    def load_adapter(self, name: str, folder: str | Path) -> None:
        """Load the PEFT adapter in `folder` under `name`; safetensors only.

        Raises
        ------
        UserError: The folder holds no adapter, or one for another base.
        """
        self._adapters.load(name, folder)

    def unload_adapter(self, name: str) -> None:
        """Forget an adapter and what was computed with it."""
        self._adapters.unload(name)
        self._prefixes.forget(lambda key: key[0] == name)

    def prepare(self, name: str, most: int = 4) -> None:
        """Read, for an adapter that is to take over from another, the prefixes that were asked for last.

        Parameters
        ----------
        most: How many of them.
        """
        with torch.inference_mode():
            for tokens in self._prefixes.latest(lambda key: key[1], most):
                self._adapters.speak(name)
                self._prefix(name, tokens)

    def generate(
        self,
        requests: Sequence[Request],
        *,
        cancelled: Callable[[int], bool] | None = None,
        ended: Callable[[int], None] | None = None,
    ) -> list[Completion]:
        """Answer all requests, in their order.

        Parameters
        ----------
        cancelled: Asked before every step whether a request's answer is no longer wanted. Such a one
            ends with what was written of it, also when it was not begun; the others go on.
        ended: Told each request whose answer has ended.

        Raises
        ------
        UserError: A request names an adapter that is not loaded, or tools that cannot be enforced.
        """
        answers: dict[int, Completion] = {}
        for index, row in self._answer(requests, cancelled or _wanted):
            if row.reason:
                answers[index] = row.completion()
                if ended is not None:
                    ended(index)
        return [answers[index] for index in range(len(requests))]

    def stream(
        self, requests: Sequence[Request], *, cancelled: Callable[[int], bool] | None = None
    ) -> Iterator[Delta]:
        """Answer all requests as `generate` does, and tell of each as it is written."""
        told = [0] * len(requests)
        for index, row in self._answer(requests, cancelled or _wanted):
            text = row.text()
            new = text[told[index] :]
            told[index] = max(told[index], len(text))
            if row.reason:
                yield Delta(index, new, row.completion())
            elif new:
                yield Delta(index, new)

    def _answer(
        self, requests: Sequence[Request], cancelled: Callable[[int], bool]
    ) -> Iterator[tuple[int, Row]]:
        """Each request's row whenever it has grown, and when it has ended."""
        prompts = [self.renderer.prompt(r.messages, r.tools) for r in requests]
        asked: dict[str | None, dict[int, list[Asked]]] = {}
        # Side by side are those under the same prefix, in the order in which they came.
        first = {prompt.prefix: at for at, prompt in reversed([*enumerate(prompts)])}
        for index in sorted(range(len(requests)), key=lambda at: first[prompts[at].prefix]):
            request, prompt = requests[index], prompts[index]
            prefix = partial(self._prefix, request.adapter, prompt.prefix)
            row = partial(self._row, request, prompt)
            one = Asked(index, len(prompt.body), request.max_tokens, prompt.prefix, prefix, row)
            size = max(SHORT, one.room).bit_length()
            asked.setdefault(request.adapter, {}).setdefault(size, []).append(one)
        for adapter, sizes in asked.items():
            groups = [self._group(members) for members in sizes.values()]
            while groups:
                for group in groups:
                    # Not around the loop: what runs between two steps is the caller's.
                    with torch.inference_mode():
                        self._adapters.speak(adapter)
                        grown = group.step(cancelled)
                    yield from grown
                groups = [group for group in groups if not group.over]

    def _group(self, members: Sequence[Asked]) -> Group:
        decoder, head = self.base.model.base_model, self.base.model.get_output_embeddings()

        def begin(most: int, columns: int) -> Batch:
            return Batch(decoder, head, min(most, self._batch), columns, self._answer_bytes)

        most = self._prefixes.max_bytes
        return Group(members, begin, prefix_bytes=most, guess=self._guess)

    def _prefix(self, adapter: str | None, tokens: tuple[int, ...]) -> tuple[Prefix, bool]:
        """The keys and values of a prefix, and whether they were known already."""
        decoder, device = self.base.model.base_model, self.base.device
        return self._prefixes.get((adapter, tokens), lambda: read_prefix(decoder, tokens, device))

    def _row(self, request: Request, prompt: Prompt) -> Row:
        matcher = self._matcher(request)
        end = self.renderer.end
        return Row(request, prompt, matcher, self.base.tokenizer, end, self.base.device)

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


def _wanted(_: int) -> bool:
    """No request is cancelled."""
    return False
