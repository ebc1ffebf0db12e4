"""Topics are made what they are declared to be, and a broker that is not there is one line."""

from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    InvalidReplicationFactorError,
    KafkaConnectionError,
    NotControllerError,
    RequestTimedOutError,
)

from app.broker import free_port
from app.errors import OnlookerError
from app.kafka import admin as module
from app.kafka.access import AccessError
from app.kafka.admin import BrokerUnreachableError, TopicError, create_topics
from app.settings import Settings
from app.topics import Topics


async def test_a_broker_that_is_not_there_is_named(caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    with pytest.raises(BrokerUnreachableError, match=f"^no Kafka answers at 127.0.0.1:{port}$") as caught:
        await create_topics(Settings(broker=f"kafka://127.0.0.1:{port}"))
    assert isinstance(caught.value, OnlookerError)


class Admin:
    """An admin client before whose answers these errors come, one at each start."""

    errors: ClassVar[list[Exception]] = []
    closed = 0
    there: ClassVar[list[str]] = []
    created: ClassVar[list[str]] = []

    def __init__(self, _: Settings, **options: Any) -> None:
        pass

    async def start(self) -> None:
        if self.errors:
            raise self.errors.pop(0)

    async def list_topics(self) -> list[str]:
        return self.there

    async def create_topics(self, topics: list[Any]) -> Any:
        self.created += [topic.name for topic in topics]
        return SimpleNamespace(topic_errors=[(topic.name, 0, None) for topic in topics])

    async def describe_topics(self, names: list[str]) -> Any:
        return []

    async def describe_configs(self, _: Any) -> Any:
        return []

    async def describe_cluster(self) -> Any:
        return {"cluster_id": "here"}

    async def close(self) -> None:
        type(self).closed += 1


@pytest.fixture
def admin(monkeypatch: pytest.MonkeyPatch) -> type[Admin]:
    monkeypatch.setattr(module, "make_admin", Admin)
    monkeypatch.setattr(module, "_RETRY", 0.001)
    monkeypatch.setattr(Admin, "closed", 0)
    monkeypatch.setattr(Admin, "there", [])
    monkeypatch.setattr(Admin, "created", [])
    monkeypatch.setattr(module, "check_access", let_in)
    return Admin


async def let_in(_: Settings) -> None:
    """Say nothing against us."""


PASSING = [
    KafkaConnectionError(), TimeoutError(), RequestTimedOutError(), NotControllerError(),
    InvalidReplicationFactorError(), AttributeError("'NoneType' object has no attribute 'nodeId'"),
    ConnectionResetError(),
]  # fmt: skip


async def test_a_broker_that_is_starting_is_waited_for(admin: type[Admin]) -> None:
    admin.errors = list(PASSING)
    assert await create_topics(Settings(), wait=20) == "here"
    assert admin.closed == len(PASSING) + 1


async def test_only_what_is_missing_is_created(admin: type[Admin]) -> None:
    names = [spec.name for spec in Topics(Settings())]
    admin.there = ["somebody-else-s", *names[1:]]
    await create_topics(Settings())
    assert admin.created == names[:1]
    admin.there += names[:1]
    await create_topics(Settings())
    assert admin.created == names[:1]


@pytest.mark.parametrize("error", [*PASSING, ClusterAuthorizationFailedError(), ValueError("two\nlines")])
async def test_after_the_wait_it_is_one_line(admin: type[Admin], error: Exception) -> None:
    admin.errors = [error]
    with pytest.raises(TopicError) as caught:
        await create_topics(Settings())
    assert len(str(caught.value).splitlines()) == 1


async def test_what_will_not_pass_is_not_waited_for(admin: type[Admin]) -> None:
    admin.errors = [ClusterAuthorizationFailedError(), KafkaConnectionError()]
    with pytest.raises(TopicError, match="cannot prepare the topics"):
        await create_topics(Settings(), wait=20)
    assert len(admin.errors) == 1


async def test_who_is_not_let_in_waits_for_nothing(
    admin: type[Admin], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_: Settings) -> None:
        raise AccessError("refused")

    monkeypatch.setattr(module, "check_access", refuse)
    admin.errors = [KafkaConnectionError(), KafkaConnectionError()]
    with pytest.raises(AccessError, match="refused"):
        await create_topics(Settings(), wait=20)
    assert len(admin.errors) == 1
