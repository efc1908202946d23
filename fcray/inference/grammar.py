"""Grammars that let a model write only calls that its tools accept, in the trained format.

llguidance compiles them; see github.com/guidance-ai/llguidance for the Lark dialect. A grammar
fixes structure, never values. Knows nothing of models.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fcray.errors import UserError
from fcray.prompting import CALL_CLOSE, CALL_OPEN
from fcray.tools import Tool

_SPACING = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
_MAX_COMPILED = 256
_WORDS = r"/[^<\x00](.|\n)*/"
"""Words never begin like a call, so the first token decides."""

_COMPOSED = {"$ref", "allOf", "anyOf", "oneOf", "patternProperties"}
"""Where one of these stands, `properties` alone does not say which arguments there are."""


def call_grammar(tools: Sequence[Tool], *, plain: bool, call: bool, parallel: bool) -> str:
    """The Lark grammar of an answer. A call is held to its tool, also where words stand before it.

    Parameters
    ----------
    tools: Which may be called.
    plain: Whether plain words are an answer, or may stand before calls.
    call: Whether calls are an answer.
    parallel: Whether several calls may follow one another.
    """
    if call and not tools:
        raise ValueError("a grammar that allows calls needs tools")
    open_, close = json.dumps(CALL_OPEN), json.dumps("}" + CALL_CLOSE)
    starts = (["PLAIN"] if plain else []) + ([f"{open_} calls"] if call else [])
    rules = [f"PLAIN: {_WORDS} & ~/(.|\\n)*{CALL_OPEN}(.|\\n)*/"] if plain else []
    if plain and call:
        starts.append("words calls")
        rules.append(f"words[suffix={open_}]: {_WORDS}")
    if call:
        rules.append(f'calls: call ("\\n" {open_} call)*' if parallel else "calls: call")
        rules.append(f"call: {' | '.join(f'call_{i}' for i in range(len(tools)))}")
        for i, tool in enumerate(tools):
            head = json.dumps(f'{json.dumps({"name": tool.name})[:-1]}, "arguments": ')
            rules.append(f"call_{i}: {head} call_{i}_arguments {close}")
            rules.append(f"call_{i}_arguments: %json {json.dumps(_closed(tool.parameters))}")
    return "\n".join([f"start: {' | '.join(starts)}", *rules])


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with the trained spacing, and without arguments that it does not name."""
    closed = {} if _COMPOSED & schema.keys() else {"additionalProperties": False}
    return {**closed, **schema, "type": "object", "x-guidance": _SPACING}


class GrammarCompiler:
    """Compiles grammars for one tokenizer, once for each list of tools.

    Parameters
    ----------
    tokenizer: The transformers tokenizer of the model.
    vocab_size: Width of the model's logits.
    """

    def __init__(self, tokenizer: Any, vocab_size: int) -> None:
        import llguidance.hf

        self._library = llguidance
        self._tokenizer = llguidance.hf.from_tokenizer(tokenizer, n_vocab=vocab_size)
        self._vocab_size = vocab_size
        self._compiled: OrderedDict[str, Any] = OrderedDict()

    def matcher(self, tools: Sequence[Tool], *, plain: bool, call: bool, parallel: bool) -> Matcher:
        """A fresh matcher for an answer; see `call_grammar`.

        Raises
        ------
        UserError: A tool's schema uses what the grammar compiler does not support.
        """
        lark = call_grammar(tools, plain=plain, call=call, parallel=parallel)
        if lark not in self._compiled:
            grammar = self._library.LLMatcher.grammar_from_lark(lark)
            compiled = self._library.LLMatcher(self._tokenizer, grammar, log_level=0)
            if compiled.is_error():
                reason = compiled.get_error().splitlines()[0]
                raise UserError(f"the tools' schemas cannot be enforced: {reason}", field="tools")
            self._compiled[lark] = compiled
            while len(self._compiled) > _MAX_COMPILED:
                self._compiled.popitem(last=False)
        self._compiled.move_to_end(lark)
        return Matcher(self._compiled[lark].deep_copy(), self._vocab_size)


def _forced_text(matcher: Any) -> str:
    """The text that the grammar leaves no choice about, up to a letter's middle."""
    return str(bytes(matcher.compute_ff_bytes()).decode("utf-8", "ignore"))


def _forced_behind(matcher: Any, tokens: Sequence[int]) -> str:
    """The same behind `tokens`, where they are allowed."""
    ahead = matcher.deep_copy()
    if ahead.validate_tokens(list(tokens)) < len(tokens):
        return ""
    ahead.consume_tokens(list(tokens))
    return _forced_text(ahead)


class Matcher:
    """Where one answer stands in its grammar."""

    def __init__(self, matcher: Any, vocab_size: int) -> None:
        self._matcher = matcher
        self._vocab_size = vocab_size

    def forced(self) -> list[int]:
        """Consume and return the tokens that the grammar leaves no choice about."""
        tokens: list[int] = self._matcher.compute_ff_tokens()
        if tokens:
            self._matcher.consume_tokens(tokens)
        return tokens

    def allowed(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """(vocab_size,) bool: which tokens may come next."""
        packed = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        return np.unpackbits(packed, bitorder="little")[: self._vocab_size].astype(bool)

    def foreseen(
        self, tokens: Sequence[int], encode: Callable[[str], Sequence[int]], *, closes: bool
    ) -> list[int]:
        """How the answer goes on if `tokens` come next: those that are allowed, then what they force.

        Forced text may end where a longer token could begin, so that none is forced for it; it is foreseen
        in the tokens that `encode` makes of it.

        Parameters
        ----------
        closes: Whether a quotation mark follows, where one may.
        """
        ahead = self._matcher.deep_copy()
        found: list[int] = []

        def take(more: Sequence[int]) -> bool:
            fits = list(more[: ahead.validate_tokens(list(more))])
            if fits:
                ahead.consume_tokens(fits)
                found.extend(fits)
            return len(fits) == len(more)

        whole = take(tokens)
        if whole and closes and not ahead.compute_ff_bytes():
            take(encode('"' + _forced_behind(ahead, encode('"'))))
        while whole and (rest := [*ahead.compute_ff_tokens()] or encode(_forced_text(ahead))):
            whole = take(rest)
        return found

    def consume(self, token: int) -> None:
        self._matcher.consume_token(token)

    @property
    def done(self) -> bool:
        """Whether nothing may follow."""
        return bool(self._matcher.is_stopped())

    @property
    def complete(self) -> bool:
        """Whether the answer so far is a whole one."""
        return bool(self._matcher.is_accepting())
