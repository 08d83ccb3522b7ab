"""The sandbox provider: answers over a real socket as OpenAI, Anthropic, Google, DeepSeek, Alibaba, Mistral and clouds do.

``python -m fastanchor.local.sandbox --port N`` starts it; it needs no key and no network. Each protocol has the
provider's own shapes and refuses what the provider refuses.

=====================================================  ======================================================
``/v1/chat/completions``, ``/v1/responses``            OpenAI; also embeddings, pictures, speech,
                                                       transcriptions, moderations
``/anthropic/v1/messages``, ``…/count_tokens``         Anthropic
``/gemini/v1beta/models/M:generateContent``            Google, also ``:streamGenerateContent`` and ``:countTokens``
``/deepseek/chat/completions``                         DeepSeek
``/qwen/v1/chat/completions``                          Alibaba's compatible mode
``/mistral/v1/chat/completions``                       Mistral
``/azure/openai/v1/chat/completions``, ``…/responses`` Azure, with the findings of its content filters
``/vertex/v1/projects/P/locations/L``                  Vertex AI; below it ``/publishers/google/models/M:…`` as above
``/bedrock/model/M/converse``, ``…/converse-stream``   Amazon Bedrock; demands a signature or one of its API keys
=====================================================  ======================================================

Text is made from the prompt and the same request gets the same text. What a request costs: 4 tokens a message + a
quarter of its UTF-8 bytes (85 an image), one token for each piece of the answer; a prompt whose first 1,024 tokens or
more were seen before counts them as cached, with Anthropic only up to the caller's own marks.

A prompt (or the header ``x-sandbox``) orders behaviour by a directive, the last one of a conversation counts:
``[[sandbox tokens=5 delay_ms=20 text="two words"]]``. Every key is a field of ``directives.Directive``; a key alone
means 1; values stand bare, in ``"…"`` (with JSON's escapes) or in ``'…'`` (as they are). A task of several turns is a
script: ``script='call:shell {"command":["ls"]}|text:done'`` calls a tool and, once its result is there, says done.

``GET /__log`` (``?nonce=X`` adds the request bodies), ``POST /__fail {"status": 500, "count": 2}`` (count -1: until
``/__reset``) and ``POST /__reset`` serve the tests.

A new protocol is a module that fulfils ``dialect.Dialect``, and a line in ``app.py``.
"""
