"""The management API as a public client meets it: gRPC's own Python client, by reflection alone."""

from collections import Counter

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status

from relay_e2e.programs import Sim
from relay_e2e.scripts import text
from relay_e2e.sdk import client

SERVICE = "relay.v1.RelayManager"
PATIENCE = 30


class Api:
    """Calls by name; what a message looks like is asked of the relay."""

    def __init__(self, path):
        # HTTP/2 refuses a socket's path as authority.
        options = [("grpc.default_authority", "localhost")]
        self.channel = grpc.insecure_channel(f"unix:{path}", options=options)
        self.reflected = ProtoReflectionDescriptorDatabase(self.channel)
        self.pool = DescriptorPool(self.reflected)
        self.service = self.pool.FindServiceByName(SERVICE)

    def call(self, name, /, **fields):
        method = self.service.FindMethodByName(name)
        asked = GetMessageClass(method.input_type)
        answered = GetMessageClass(method.output_type)
        kind = self.channel.unary_stream if method.server_streaming else self.channel.unary_unary
        stub = kind(
            f"/{SERVICE}/{name}",
            request_serializer=asked.SerializeToString,
            response_deserializer=answered.FromString,
        )
        return stub(asked(**fields), timeout=PATIENCE)


@pytest.fixture
def managed(tmp_path, relayed):
    """A relay with two upstreams, and its API."""
    second = Sim()
    socket = tmp_path / "api.sock"
    side = relayed(
        {
            "server": {"auth": {"api_key": "relay-key-0123456789"}},
            "grpc": {"listen": f"unix:{socket}"},
            "providers": [
                {"name": "first", "keys": [{"key": "sk-ant-fake-first", "name": "k1"}]},
                {
                    "name": "second",
                    "type": "anthropic",
                    "base_url": f"http://{second.address[0]}:{second.address[1]}",
                    "keys": [{"key": "sk-ant-fake-second", "name": "k1"}],
                },
            ],
        }
    )
    api = Api(socket)
    yield side, second, api
    api.channel.close()
    second.stop()


def turn(side):
    sdk = client(side.url).with_options(api_key="relay-key-0123456789", max_retries=0)
    message = sdk.messages.create(
        model="claude-opus-5-5", max_tokens=9, messages=[{"role": "user", "content": "hi"}]
    )
    return message.content[0].text


def test_reflection_tells_all_that_can_be_called(managed):
    _, _, api = managed
    services = set(api.reflected.get_services())
    assert {SERVICE, "grpc.health.v1.Health"} <= services
    names = {method.name for method in api.service.methods}
    assert len(names) == len(api.service.methods) >= 25
    assert {"StreamStats", "StreamRequests", "DisableProvider", "UpdateConfig", "GetUsage"} <= names
    version = api.call("GetVersion")
    assert version.api == "relay.v1" and version.pid > 0


def test_a_provider_is_disabled_and_enabled_and_requests_are_told(managed):
    side, second, api = managed
    for sim, words in ((side.sim, "from the first"), (second, "from the second")):
        for _ in range(9):
            sim.script(text(words))
    seen = api.call("StreamRequests")
    answers = [turn(side)]
    told = api.call("DisableProvider", name="first", options={"dry_run": True}).change
    assert not told.applied and any("second" in effect.text for effect in told.effects)
    answers.append(turn(side))
    assert api.call("DisableProvider", name="first").change.applied
    answers += [turn(side), turn(side)]
    states = {one.name: one.enabled for one in api.call("ListProviders").providers}
    assert states == {"first": False, "second": True}
    assert api.call("EnableProvider", name="first").change.applied
    answers.append(turn(side))
    assert Counter(answers) == {"from the first": 3, "from the second": 2}, answers
    ended, begun = [], set()
    for message in seen:
        change = message.DESCRIPTOR.fields_by_name["change"].enum_type.values_by_number[message.change]
        if change.name == "REQUEST_CHANGE_STARTED":
            begun.add(message.request.id)
        elif change.name == "REQUEST_CHANGE_ENDED":
            ended.append(message.request)
        if len(ended) == len(answers):
            break
    seen.cancel()
    assert [one.provider for one in ended] == ["first", "first", "second", "second", "first"]
    assert {one.id for one in ended} == begun and {one.outcome for one in ended} == {"complete"}


def test_a_refusal_says_what_to_do(managed):
    _, _, api = managed
    with pytest.raises(grpc.RpcError) as refused:
        api.call("DisableProvider", name="nobody")
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    details = rpc_status.from_call(refused.value).details
    info = error_details_pb2.ErrorInfo()
    assert any(detail.Unpack(info) for detail in details)
    assert info.domain == "cc-relay" and info.reason and info.metadata["fix"]


def test_stats_come_each_second_in_order(managed):
    side, _, api = managed
    side.sim.script(text("hello"))
    stream = api.call("StreamStats", interval_ms=100)
    first = next(stream)
    turn(side)
    numbers, requests = [first.mark.sequence], 0
    for message in stream:
        numbers.append(message.mark.sequence)
        assert message.mark.instance_id == first.mark.instance_id
        requests = message.stats.traffic.requests
        if requests:
            break
    stream.cancel()
    assert requests == 1
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
