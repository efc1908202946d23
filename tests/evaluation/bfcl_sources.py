"""Java and JavaScript source text as a model may write it: whole, broken, or nothing like it."""

from __future__ import annotations

from hypothesis import strategies as st

java_kinds = st.sampled_from(
    ["byte", "short", "integer", "float", "double", "long", "boolean", "char", "Array", "ArrayList",
     "HashMap", "String", "any"]
)  # fmt: skip
javascript_kinds = st.sampled_from(
    ["String", "integer", "float", "Bigint", "Boolean", "dict", "array", "any"]
)
pieces = st.sampled_from(
    ["new ", "int", "[]", "{", "}", "{{", "}}", "(", ")", "ArrayList", "<>", "<String>", "HashMap",
     "Arrays.asList(", "add(", "put(", '"a"', "'b'", ", ", ",", ": ", "1", "-2", "2.5", "3L", "4f",
     "1e3", "5n", "true", "false", "[", "]", "], [", "new Array(", '"', "'", " ", ";", "key", "\u5317", "\n",
     "new ArrayList<>()", "new HashMap<>()", "key: "]
)  # fmt: skip
sources = st.one_of(
    st.lists(pieces, max_size=12).map("".join),
    st.lists(pieces, max_size=5).map(lambda some: f"new int[]{{{''.join(some)}}}"),
    st.lists(pieces, max_size=5).map(lambda some: f"new ArrayList<>(Arrays.asList({''.join(some)}))"),
    st.lists(pieces, max_size=5).map(lambda some: f'new HashMap<>() {{{{ put("k", {"".join(some)}); }}}}'),
    st.lists(pieces, max_size=6).map(lambda some: f"[{''.join(some)}]"),
    st.lists(pieces, max_size=6).map(lambda some: f"[[1], [{''.join(some)}]]"),
    st.lists(pieces, max_size=6).map(lambda some: f"{{{''.join(some)}}}"),
    st.lists(pieces, max_size=6).map(lambda some: f"{{a: {''.join(some)}}}"),
)  # fmt: skip
any_text = sources | pieces | st.text(max_size=80)
