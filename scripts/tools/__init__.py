"""tools: tool-call examples to three specialists that call ROM-hacking tools exactly."""
