"""What a call through Quarterdeck's gateway takes along, so that its span stands in the caller's trace."""

from opentelemetry import propagate

from . import _names as names
from ._client import settings
from ._quiet import quietly
from ._scope import current


def headers() -> dict[str, str]:
    """Headers for a request to the gateway: the current span as its parent, and the scope's session, user and tags.

    For the openai package: `client.chat.completions.create(…, extra_headers=quarterdeck.headers())`.
    """
    told: dict[str, str] = {}
    with quietly("writing headers"):
        propagate.inject(told)
        scope = current()
        tags = scope.get(names.TAGS)
        values = {
            "x-quarterdeck-session": scope.get(names.SESSION),
            "x-quarterdeck-user": scope.get(names.USER),
            "x-quarterdeck-tags": ",".join(map(str, tags)) if isinstance(tags, (list, tuple)) else None,
            "x-quarterdeck-environment": settings().environment,
            "x-quarterdeck-release": settings().release,
        }
        told.update({name: str(value) for name, value in values.items() if value and _fits(str(value))})
    return told


def _fits(value: str) -> bool:
    """A header's value has characters of ASCII in one line; what has others would make the request fail."""
    return value.isascii() and value.isprintable()
