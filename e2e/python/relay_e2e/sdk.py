"""What the tests with the Python SDK share."""

import anthropic
import httpx2 as httpx

__all__ = ["client", "httpx", "question"]


def client(url: str) -> anthropic.Anthropic:
    """A client that never retries by itself, so that a test sees each answer."""
    return anthropic.Anthropic(api_key="sk-ant-fake-for-tests", base_url=url, max_retries=0, timeout=60)


def question(text: str, **more) -> dict:
    """The arguments of one request."""
    asked = {
        "model": "claude-sonnet-5-5",
        "max_tokens": 256,
        "messages": [{"role": "user", "content": text}],
    }
    return {**asked, **more}
