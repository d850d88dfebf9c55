"""Answers for the upstream to play, in the simulator's JSON form.

Each takes the form's other fields by name: `fault`, `headers`, `split`,
`encoding`, `event_gap_ms`, ... (see the simulator's README).
"""


def text(words: str, **more) -> dict:
    """A whole answer of one text block."""
    return {"text": words, **more}


def tool_use(name: str, arguments: dict, **more) -> dict:
    """An answer that calls one tool."""
    return {"tool_use": {"name": name, "input": arguments}, **more}


def thinking(thought: str, signature: str, answer: str, **more) -> dict:
    """A thinking block with its signature, then a text block."""
    return {"thinking": {"text": thought, "signature": signature, "answer": answer}, **more}


def error(status: int, kind: str, message: str, **more) -> dict:
    """Anthropic's error envelope."""
    return {"status": status, "error": {"type": kind, "message": message}, **more}


def raw(status: int, content_type: str, body: str, **more) -> dict:
    """Exactly this body."""
    return {"status": status, "raw": {"content_type": content_type, "body": body}, **more}
