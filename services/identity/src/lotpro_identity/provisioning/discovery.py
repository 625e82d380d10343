"""What this SCIM service can do, in the words of RFC 7643, sections 5 to 7; pure."""

from typing import Any

from lotpro_identity.provisioning.domain import USER_SCHEMA

_CORE = "urn:ietf:params:scim:schemas:core:2.0"
#: One page at most.
MAX_RESULTS = 200


def provider_config(base: str) -> dict[str, Any]:
    """ServiceProviderConfig."""
    return {
        "schemas": [f"{_CORE}:ServiceProviderConfig"],
        "patch": {"supported": True},
        "bulk": {"supported": False, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": {"supported": True, "maxResults": MAX_RESULTS},
        "changePassword": {"supported": False},
        "sort": {"supported": False},
        "etag": {"supported": False},
        "authenticationSchemes": [
            {
                "type": "oauthbearertoken", "name": "Bearer token", "primary": True,
                "description": "A token that an owner of the organisation made under Provisioning.",
            }
        ],
        "meta": {"resourceType": "ServiceProviderConfig", "location": f"{base}/ServiceProviderConfig"},
    }


def resource_types(base: str) -> list[dict[str, Any]]:
    """The one kind of resource there is."""
    return [
        {
            "schemas": [f"{_CORE}:ResourceType"], "id": "User", "name": "User", "endpoint": "/Users",
            "description": "A member of the organisation.", "schema": USER_SCHEMA, "schemaExtensions": [],
            "meta": {"resourceType": "ResourceType", "location": f"{base}/ResourceTypes/User"},
        }
    ]


def schemas(base: str) -> list[dict[str, Any]]:
    """The attributes of a user that are kept; others are ignored."""
    name = _attribute("name", "complex", "The parts of the name.")
    name["subAttributes"] = [
        _attribute(part, "string", about)
        for part, about in (
            ("formatted", "The whole name."), ("givenName", "Given name."), ("familyName", "Family name."),
        )
    ]
    emails = _attribute("emails", "complex", "The address, from when the user was made.", mutability="immutable")
    emails |= {"multiValued": True, "subAttributes": [
        _attribute("value", "string", "The address.", mutability="immutable"),
        _attribute("type", "string", "Always work.", mutability="readOnly"),
        _attribute("primary", "boolean", "Always true.", mutability="readOnly"),
    ]}
    return [
        {
            "schemas": [f"{_CORE}:Schema"], "id": USER_SCHEMA, "name": "User",
            "description": "A member of the organisation.",
            "attributes": [
                _attribute("userName", "string", "The name at the directory.", required=True, uniqueness="server"),
                _attribute("externalId", "string", "The directory's own id.", exact=True),
                name,
                _attribute("displayName", "string", "What others call the person; the same as name.formatted."),
                emails,
                _attribute("active", "boolean", "Whether the person is a member."),
            ],
            "meta": {"resourceType": "Schema", "location": f"{base}/Schemas/{USER_SCHEMA}"},
        }
    ]


def _attribute(
    name: str, kind: str, about: str, *, required: bool = False, exact: bool = False, uniqueness: str = "none",
    mutability: str = "readWrite",
) -> dict[str, Any]:
    return {
        "name": name, "type": kind, "multiValued": False, "description": about, "required": required,
        "caseExact": exact, "mutability": mutability, "returned": "default", "uniqueness": uniqueness,
    }
