"""The official Python SDK through the relay: each refusal is the upstream's own."""

import anthropic
import pytest

from relay_e2e import scripts
from relay_e2e.sdk import client, question

REFUSALS = {
    400: ("invalid_request_error", anthropic.BadRequestError),
    401: ("authentication_error", anthropic.AuthenticationError),
    403: ("permission_error", anthropic.PermissionDeniedError),
    404: ("not_found_error", anthropic.NotFoundError),
    413: ("request_too_large", anthropic.RequestTooLargeError),
    429: ("rate_limit_error", anthropic.RateLimitError),
    500: ("api_error", anthropic.InternalServerError),
    529: ("overloaded_error", anthropic.OverloadedError),
}


def refusal(url, stream):
    """Everything that a program can see of the error it gets."""
    with pytest.raises(anthropic.APIStatusError) as caught:
        client(url).messages.create(**question("hi"), stream=stream)
    fault = caught.value
    shown = {
        name: value
        for name, value in fault.response.headers.items()
        if name in ("retry-after", "request-id", "x-should-retry") or name.startswith("anthropic-")
    }
    return type(fault), fault.status_code, fault.message, fault.request_id, fault.body, shown


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("status", REFUSALS)
def test_a_refusal_is_the_same_exception(sides, status, stream):
    kind, exception = REFUSALS[status]
    headers = [["retry-after", "17"]] if status == 429 else []
    script = scripts.error(status, kind, f"said by the upstream: {status}", headers=headers)
    found = sides.both([script], lambda url: refusal(url, stream))
    assert issubclass(found[0], exception)
    assert found[1] == status
    assert found[3].startswith("req_")
    assert found[4]["error"]["message"] == f"said by the upstream: {status}"
    assert found[5].get("retry-after") == ("17" if status == 429 else None)


def test_an_error_in_a_stream_is_the_same_exception(sides):
    def act(url):
        with pytest.raises(anthropic.APIStatusError) as caught:
            with client(url).messages.stream(**question("hi")) as stream:
                stream.get_final_message()
        return type(caught.value), caught.value.message, caught.value.body

    script = scripts.text("never read to its end", fault="error-event-after:4:overloaded_error:Overloaded")
    assert sides.both([script], act)[2]["error"]["type"] == "overloaded_error"


def test_a_page_instead_of_an_error_passes(sides):
    script = scripts.raw(502, "text/html", "<html><h1>Bad gateway</h1></html>")
    found = sides.both([script], lambda url: refusal(url, False))
    assert found[1] == 502
