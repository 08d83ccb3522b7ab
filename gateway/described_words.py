"""What each parameter of a body does, in a sentence: for the OpenAPI document and for the tables of the documentation.

A parameter that is read only so that its refusal can say why stands in ``NOT_OFFERED`` instead.
"""

from __future__ import annotations

from collections.abc import Mapping

_MODEL = "The model's id, or an alias of it."
_STREAM = "Send the answer as server-sent events while it is written."
_TOP_P = "Choose among the most likely tokens that make up this share. 1 is all of them."
_TEMPERATURE = "How freely the model chooses. 0 is the least."
_USER = "Your own name for the person who asks. Helps providers to find abuse."
_CACHE_KEY = "Requests with the same key are likely to find each other's cached prompt."
_CACHE_TIME = "How long the provider keeps the cached prompt."
_LOGPROBS = "How many likely alternatives are told for each token."
_MODELS = "Up to four models to turn to, in order, when no way to the first serves."
_PROVIDER = "Whose channels may serve the request, and which of them first."
_TIER = "`auto` or `default`: other tiers are not offered."

CHAT = {
    "model": _MODEL,
    "models": _MODELS,
    "provider": _PROVIDER,
    "messages": "The conversation so far, oldest message first.",
    "max_completion_tokens": "The most output tokens, thoughts included.",
    "max_tokens": "The older name of `max_completion_tokens`. Where both stand, the larger counts.",
    "temperature": _TEMPERATURE,
    "top_p": _TOP_P,
    "stop": "Up to four texts before which the answer ends.",
    "stream": _STREAM,
    "stream_options": "`include_usage`: end the stream with a chunk that tells usage and cost.",
    "tools": "Functions, and custom tools, that the model may call.",
    "tool_choice": "`none`, `auto`, `required`, or the one tool that must be called.",
    "parallel_tool_calls": "`false`: call one tool at a time.",
    "response_format": "`text`, any `json_object`, or JSON that fits a `json_schema`.",
    "reasoning_effort": "How much a model that reasons thinks before it answers.",
    "n": "How many answers are written.",
    "seed": "Ask for the same answer again, as far as the provider can.",
    "frequency_penalty": "Above 0: less of what was said often.",
    "presence_penalty": "Above 0: less of what was said at all.",
    "logit_bias": "Make tokens, named by their number, more or less likely.",
    "logprobs": "Tell how likely each token was.",
    "top_logprobs": _LOGPROBS,
    "verbosity": "How much the model says.",
    "web_search_options": "Let the provider search the web, where the model can.",
    "prediction": "Text that much of the answer will repeat, for a quicker answer.",
    "prompt_cache_key": _CACHE_KEY,
    "prompt_cache_options": "How the provider caches the prompt, in its own words.",
    "prompt_cache_retention": _CACHE_TIME,
    "modalities": "What the answer is made of: `text` only.",
    "metadata": "Up to 16 notes of your own. They are not kept.",
    "user": _USER,
    "safety_identifier": "A fixed, anonymous name for the person who asks.",
    "service_tier": _TIER,
    "store": "`false` or nothing: completions are not kept.",
    "usage": "Accepted for clients of OpenRouter: usage is told anyway.",
    "functions": "The older form of `tools`.",
    "function_call": "The older form of `tool_choice`.",
    "top_k": "Choose among this many tokens, where the model knows the word.",
    "min_p": "Leave out tokens less likely than this share of the likeliest.",
    "repetition_penalty": "Above 1: repeat less.",
    "reasoning": "Effort or budget of thoughts, as clients of OpenRouter write it.",
    "reasoning_format": "Where thoughts are shown: `parsed`, `raw` or `hidden`.",
    "include_reasoning": "`false`: the answer without its thoughts.",
    "thinking": "Thoughts on or off, as DeepSeek's clients write it.",
    "enable_thinking": "Thoughts on or off, as Qwen's clients write it.",
    "thinking_budget": "The most tokens of thoughts, as Qwen's clients write it.",
    "chat_template_kwargs": "Options of the model's template, for servers of open models.",
    "clear_thinking": "Forget earlier thoughts, for servers of open models.",
}
COMPLETIONS = {
    "model": _MODEL,
    "prompt": "The text to go on from.",
    "max_tokens": "The most output tokens.",
    "temperature": _TEMPERATURE,
    "top_p": _TOP_P,
    "stop": CHAT["stop"],
    "stream": _STREAM,
    "stream_options": CHAT["stream_options"],
    "n": CHAT["n"],
    "seed": CHAT["seed"],
    "frequency_penalty": CHAT["frequency_penalty"],
    "presence_penalty": CHAT["presence_penalty"],
    "logit_bias": CHAT["logit_bias"],
    "logprobs": _LOGPROBS,
    "best_of": "Not more than `n`: what is not shown is not written.",
    "echo": "`false` or nothing.",
    "suffix": "Nothing: no model fills in a middle.",
    "user": _USER,
}
RESPONSES = {
    "model": _MODEL,
    "models": _MODELS,
    "provider": _PROVIDER,
    "input": "A text, or items: messages, results of tools, earlier output.",
    "instructions": "What the model must keep to, before everything else.",
    "previous_response_id": "Go on from a stored response, without sending its turns again.",
    "store": "`false`: do not keep the response.",
    "background": "`true`: answer at once, work on, and be asked for the result.",
    "stream": _STREAM,
    "stream_options": "How the stream is sent.",
    "max_output_tokens": "The most output tokens, thoughts included.",
    "temperature": _TEMPERATURE,
    "top_p": _TOP_P,
    "tools": "Functions, custom tools, and tools that a provider runs itself, such as `web_search`.",
    "tool_choice": "`none`, `auto`, `required`, or the one tool that must be called.",
    "parallel_tool_calls": CHAT["parallel_tool_calls"],
    "max_tool_calls": "The most calls of tools that the provider runs itself.",
    "text": "`format` is the shape of the answer, `verbosity` its length.",
    "reasoning": "`effort`, and whether a `summary` of the thoughts is shown.",
    "include": "What the answer shows in addition, such as `reasoning.encrypted_content`.",
    "metadata": "Up to 16 notes of your own, kept with the response.",
    "truncation": "`auto`: the provider may drop old turns that do not fit.",
    "top_logprobs": _LOGPROBS,
    "prompt_cache_key": _CACHE_KEY,
    "prompt_cache_options": CHAT["prompt_cache_options"],
    "prompt_cache_retention": _CACHE_TIME,
    "context_management": "How the provider makes long conversations shorter, in its own words.",
    "background_options": "`completion_window`: `soonest` only.",
    "client_metadata": "What Codex says of itself. It is not sent on.",
    "image": "Options of pictures that the provider makes.",
    "safety_identifier": CHAT["safety_identifier"],
    "service_tier": _TIER,
    "user": _USER,
}
MESSAGES = {
    "model": _MODEL,
    "models": _MODELS,
    "provider": _PROVIDER,
    "max_tokens": "The most output tokens, thoughts included.",
    "messages": "The conversation so far, oldest message first.",
    "system": "What the model must keep to: a text, or blocks of text.",
    "temperature": "How freely the model chooses, from 0 to 1.",
    "top_p": _TOP_P,
    "top_k": "Choose among this many tokens.",
    "stop_sequences": "Texts before which the answer ends.",
    "stream": _STREAM,
    "tools": "Your own tools, and Anthropic's search and fetching of pages.",
    "tool_choice": "`auto`, `any`, `none`, or the one `tool` that must be called.",
    "thinking": "Whether the model thinks first, and with how many tokens.",
    "output_config": "`effort`, and the `format` of the answer.",
    "output_format": "The older place of `output_config.format`.",
    "cache_control": "Cache the prompt up to its end.",
    "metadata": "`user_id`: your own name for the person who asks.",
    "service_tier": "`auto` or `standard_only`.",
    "compaction": "For Anthropic's own models only.",
    "context_management": "For Anthropic's own models only.",
    "diagnostics": "For Anthropic's own models only.",
    "mcp_servers": "Servers of tools that Anthropic asks, for its own models only.",
}
EMBEDDINGS = {
    "model": _MODEL,
    "input": "A text, up to 2,048 texts, or lists of tokens.",
    "dimensions": "How long the vectors are, where the model can shorten them.",
    "encoding_format": "`float` numbers, or the same bytes in `base64`.",
    "user": _USER,
}
IMAGES = {
    "model": _MODEL,
    "prompt": "What the picture shows.",
    "n": "How many pictures.",
    "size": "Width and height, such as `1024x1024`.",
    "quality": "How much work goes into it.",
    "background": "`transparent` or `opaque`.",
    "output_format": "`png`, `webp` or `jpeg`.",
    "output_compression": "Of `webp` and `jpeg`, in percent.",
    "response_format": "`url` or `b64_json`, for models that know both.",
    "style": "`vivid` or `natural`, for models that know it.",
    "moderation": "How strictly prompts are filtered.",
    "safety_identifier": CHAT["safety_identifier"],
    "user": _USER,
}
SPEECH = {
    "model": _MODEL,
    "input": "The text that is read, up to 4,096 characters.",
    "voice": "Who reads it, such as `alloy`.",
    "instructions": "How it is read.",
    "response_format": "`mp3`, `opus`, `aac`, `flac`, `wav` or `pcm`.",
    "speed": "From 0.25 to 4.",
    "stream_format": "`audio` only.",
}
TRANSCRIPTIONS = {
    "model": _MODEL,
    "file": "The recording.",
    "language": "The language that is spoken, such as `en`.",
    "prompt": "Words and names that may come up.",
    "response_format": "`json`, `text`, `srt`, `verbose_json` or `vtt`.",
    "temperature": _TEMPERATURE,
    "timestamp_granularities": "Times of each `word`, each `segment`, or both.",
    "include": "`logprobs`.",
}
MODERATIONS = {
    "input": "A text, texts, or parts of text and pictures.",
    "model": "The model; `omni-moderation-latest` unless you name another.",
}

NOT_OFFERED: Mapping[str, frozenset[str]] = {
    "/v1/chat/completions": frozenset(
        {"audio", "moderation", "plugins", "route", "transforms"}
    ),
    "/v1/responses": frozenset({"access_programs", "conversation", "moderation", "prompt"}),
    "/v1/messages": frozenset(
        {
            "billing_policy", "container", "fallback_credit_token", "fallbacks", "inference_geo", "speed", "thread",
            "user_profile_id", "workspace_id",
        }
    ),
    "/v1/images/generations": frozenset({"stream", "partial_images"}),
    "/v1/audio/transcriptions": frozenset({"filename"}),
}  # fmt: skip
