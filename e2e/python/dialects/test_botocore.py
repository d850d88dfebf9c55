"""AWS's own library signs what the simulator verifies, and reads what it streams."""

import base64
import json

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.eventstream import EventStreamBuffer

from relay_e2e.clouds import KEY_ID, PROFILE, REGION, SECRET, TOKEN, aws
from relay_e2e.programs import Sim
from relay_e2e.sdk import httpx

BODY = json.dumps(
    {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": []}
).encode()

#: As they stand on the wire: raw, with an encoded colon, and an encoded slash.
MODELS = [
    "anthropic.claude-opus-5-5",
    "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "us.anthropic.claude-sonnet-4-5-20250929-v1%3A0",
    PROFILE.replace("/", "%2F"),
]


@pytest.fixture
def sim():
    running = Sim(*aws("bedrock", TOKEN))
    yield running
    running.stop()


def signed(sim, path, body=BODY, key=(KEY_ID, SECRET, TOKEN), service="bedrock", **headers):
    """Posts a request that botocore has signed; headers given here are signed too."""
    request = AWSRequest(
        method="POST",
        url=sim.url + path,
        headers={"content-type": "application/json", **headers},
        data=body,
    )
    SigV4Auth(Credentials(*key), service, REGION).add_auth(request)
    with httpx.Client(trust_env=False, timeout=60) as client:
        sent = client.build_request("POST", sim.url + path, content=body)
        sent.headers.update(dict(request.headers))
        return client.send(sent)


def frames(data):
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    return [event.to_response_dict() for event in buffer]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("query", ["", "?b=2&a=%20x&a=1"])
def test_a_signature_of_botocore_is_verified(sim, model, query):
    answer = signed(sim, f"/model/{model}/invoke{query}", **{"x-odd": "two   words"})
    assert answer.status_code == 200, answer.text
    assert sim.requests()[0]["path_and_query"] == f"/model/{model}/invoke{query}"


def test_what_is_wrong_with_a_signature_is_named(sim):
    path = f"/model/{MODELS[0]}/invoke"
    cases = [
        ({"key": (KEY_ID, "another", TOKEN)}, "InvalidSignatureException"),
        ({"key": (KEY_ID, SECRET, "stale")}, "UnrecognizedClientException"),
        ({"key": ("AKIDOTHER", SECRET, TOKEN)}, "UnrecognizedClientException"),
        ({"service": "bedrock-runtime"}, "InvalidSignatureException"),
    ]
    for wrong, exception in cases:
        answer = signed(sim, path, **wrong)
        assert (answer.status_code, answer.headers["x-amzn-errortype"]) == (403, exception)
        assert "arn:aws:" in answer.json()["message"]


def test_the_stream_is_read_by_botocore(sim):
    sim.script({"text": "ein schöner Tag", "usage": {"input_tokens": 5, "output_tokens": 3}})
    answer = signed(sim, f"/model/{MODELS[1]}/invoke-with-response-stream")
    assert answer.headers["content-type"] == "application/vnd.amazon.eventstream"
    events = []
    for frame in frames(answer.content):
        assert frame["headers"][":event-type"] == "chunk"
        assert frame["status_code"] == 200
        events.append(json.loads(base64.b64decode(json.loads(frame["body"])["bytes"])))
    deltas = [event["delta"]["text"] for event in events if event["type"] == "content_block_delta"]
    assert "".join(deltas) == "ein schöner Tag"
    assert "ping" not in [event["type"] for event in events]
    metrics = events[-1]["amazon-bedrock-invocationMetrics"]
    assert (metrics["inputTokenCount"], metrics["outputTokenCount"]) == (5, 3)


def test_an_exception_in_the_stream_is_read_by_botocore(sim):
    sim.script({"text": "a b c", "fault": "error-event-after:2:rate_limit_error:slower"})
    answer = signed(sim, f"/model/{MODELS[0]}/invoke-with-response-stream")
    last = frames(answer.content)[-1]
    assert last["headers"][":exception-type"] == "throttlingException"
    assert json.loads(last["body"])["message"].startswith("slower")
