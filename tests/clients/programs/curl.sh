# Documented from here.
curl BASE_URL/chat/completions \
  -H "Authorization: Bearer API_KEY" \
  -H "Content-Type: application/json" \
  -d '{"model": "MODEL", "messages": [{"role": "user", "content": "PROMPT"}]}'
# Documented until here.
