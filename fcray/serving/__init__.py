"""The served adapter: OpenAI's chat completions over one engine, on Ray Serve.

`openai_types`, `openai_requests` and `openai_answers` know the wire, `batcher` and
`engine_deployment` the engine, `ingress` the routes; `app` puts them together and starts them.
"""
