"""The sandbox provider: answers over a real socket in OpenAI's chat format, needs no key and no network.

``python -m fastanchor.local.sandbox --port N`` starts it. Text is made from the prompt and the same request gets the
same text. What a request costs: 4 tokens a message + a quarter of its UTF-8 bytes (85 an image), one token for each
piece of the answer; a prompt whose first 1,024 tokens or more were seen before counts them as cached.

A prompt (or the header ``x-sandbox``) orders behaviour by a directive, the last one of a conversation counts:
``[[sandbox tokens=5 delay_ms=20 text="two words"]]``. Every key is a field of ``directives.Directive``.

``GET /__log`` (``?nonce=X`` adds the request bodies), ``POST /__fail {"status": 500, "count": 2}`` (count -1: until
``/__reset``) and ``POST /__reset`` serve the tests.
"""
